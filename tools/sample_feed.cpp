#include "tools/sample_feed.hpp"

#include <map>
#include <optional>

#include "connectors/codec/sample_decoder.hpp"
#include "connectors/file/file_source.hpp"
#include "connectors/kafka/kafka_reader.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

using connectors::KafkaReader;
using connectors::SampleDecoder;
using namespace std::chrono_literals;

/// Turns records into blocks, one partition and one schema each, as the polling loop does.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::unique_ptr<SampleDecoder> decoder) : decoder_{std::move(decoder)} {}

  Status take(std::span<const Record> records, const SampleFeed::BlockFn& give) {
    for (const Record& record : records) {
      const PartitionId partition{std::string{record.topic}, record.partition};
      if (block_ && block_->partition() != partition) finish(give);
      decoder_->decode(
          record,
          [&](std::string_view series, EventTime time, std::span<const double> values) {
            if (block_ && block_->schema() != decoder_->schema()) finish(give);
            if (!block_) block_.emplace(partition, decoder_->schema());
            block_->append(series, time, record.offset, values);
          },
          [this](const Rejected&) { ++num_rejected_; });
      if (block_) block_->set_end(record.offset + 1);
    }
    finish(give);
    return std::exchange(status_, {});
  }
  [[nodiscard]] std::size_t num_rejected() const { return num_rejected_; }

 private:
  void finish(const SampleFeed::BlockFn& give) {
    if (block_ && status_) status_ = give(*block_);
    block_.reset();
  }

  std::unique_ptr<SampleDecoder> decoder_;
  std::optional<SampleBlock> block_;
  Status status_;  // the first failure of a taker
  std::size_t num_rejected_ = 0;
};

class TopicFeed final : public SampleFeed {
 public:
  TopicFeed(std::unique_ptr<KafkaReader> reader, std::unique_ptr<SampleDecoder> decoder)
      : reader_{std::move(reader)}, builder_{std::move(decoder)} {}

  Result<bool> pump(const BlockFn& take) override {
    Status taken;
    const auto polled = reader_->poll(200ms, [&](std::span<const Record> records) {
      if (taken) taken = builder_.take(records, take);
    });
    if (!taken) return Failure{taken.error()};
    if (!polled && !polled.error().retriable()) return Failure{polled.error()};
    return !reader_->at_end();
  }
  std::size_t done() const override { return static_cast<std::size_t>(reader_->done()); }
  std::size_t total() const override { return static_cast<std::size_t>(reader_->total()); }
  std::string unit() const override { return "records"; }
  std::size_t num_rejected() const override { return builder_.num_rejected(); }

 private:
  std::unique_ptr<KafkaReader> reader_;
  BlockBuilder builder_;
};

class FileFeed final : public SampleFeed, private SourceHandler {
 public:
  FileFeed(std::unique_ptr<connectors::FileSource> source, std::unique_ptr<SampleDecoder> decoder)
      : source_{std::move(source)}, builder_{std::move(decoder)} {}

  Result<bool> pump(const BlockFn& take) override {
    take_ = &take;
    const auto polled = source_->poll(0ms, *this);
    if (!polled) return Failure{polled.error()};
    if (auto taken = std::exchange(taken_, {}); !taken) return Failure{taken.error()};
    return !source_->finished();
  }
  std::size_t done() const override { return num_records_; }
  std::size_t total() const override { return 0; }
  std::string unit() const override { return "lines"; }
  std::size_t num_rejected() const override { return builder_.num_rejected(); }

 private:
  void on_records(std::span<const Record> records) override {
    num_records_ += records.size();
    if (taken_) taken_ = builder_.take(records, *take_);
  }
  std::vector<Position> on_assigned(const std::vector<PartitionId>&) override { return {}; }
  void on_revoked(const std::vector<PartitionId>&, bool) override {}
  void on_end(const PartitionId&, Offset) override {}

  std::unique_ptr<connectors::FileSource> source_;
  BlockBuilder builder_;
  const BlockFn* take_ = nullptr;  // during pump
  Status taken_;
  std::size_t num_records_ = 0;
};

/// Each group is a partition with a schema of its own.
class RowFeed final : public SampleFeed {
 public:
  explicit RowFeed(std::unique_ptr<RowSource> rows) : rows_{std::move(rows)} {}

  Result<bool> pump(const BlockFn& take) override {
    constexpr std::size_t kRowsAtOnce = 4096;
    std::map<PartitionId, SampleBlock> blocks;
    bool more = true;
    for (std::size_t i = 0; i < kRowsAtOnce && more; ++i) {
      const auto row = rows_->next();
      if (!row) return Failure{row.error()};
      more = row->has_value();
      if (more) append(blocks, **row);
    }
    for (auto& [partition, block] : blocks) {
      block.set_end(offset_);
      if (auto taken = take(block); !taken) return Failure{taken.error()};
    }
    return more;
  }
  std::size_t done() const override { return static_cast<std::size_t>(offset_); }
  std::size_t total() const override { return rows_->num_rows(); }
  std::string unit() const override { return "rows"; }

 private:
  void append(std::map<PartitionId, SampleBlock>& blocks, const SourceRow& row) {
    const PartitionId partition{std::string{row.group}, 0};
    auto& schema = schemas_[partition.topic];
    const bool same = schema && std::ranges::equal(schema->channels, row.channels);
    if (!same) {
      schema = std::make_shared<const Schema>(Schema{{row.channels.begin(), row.channels.end()}});
    }
    auto& block = blocks.try_emplace(partition, partition, schema).first->second;
    block.append(row.series, row.time, offset_++, row.values);
  }

  std::unique_ptr<RowSource> rows_;
  std::map<std::string, std::shared_ptr<const Schema>> schemas_;  // by group
  Offset offset_ = 0;
};

}  // namespace

Result<std::unique_ptr<SampleFeed>> topic_feed(const config::Options& options,
                                               const TopicRange& range) {
  KafkaReader::Options reader_options;
  reader_options.kafka = options.kafka.for_clients();
  reader_options.topics = options.input.topics;
  if (!range.from.empty()) {
    const auto from = parse_time(range.from);
    if (!from) return fail(Error{from.error()}, "--from");
    reader_options.from = KafkaReader::From::kTime;
    reader_options.time = *from;
  }
  if (!range.until.empty()) {
    const auto until = parse_time(range.until);
    if (!until) return fail(Error{until.error()}, "--until");
    reader_options.until = *until;
  }
  auto decoder = SampleDecoder::create(options.input.records, system_clock());
  if (!decoder) return Failure{decoder.error()};
  auto reader = KafkaReader::open(std::move(reader_options));
  if (!reader) return Failure{reader.error()};
  return std::make_unique<TopicFeed>(*std::move(reader), *std::move(decoder));
}

Result<std::unique_ptr<SampleFeed>> file_feed(const config::Options& options,
                                              std::vector<std::filesystem::path> files) {
  auto decoder = SampleDecoder::create(options.input.records, system_clock());
  if (!decoder) return Failure{decoder.error()};
  auto source = connectors::FileSource::open({.paths = std::move(files)});
  if (!source) return Failure{source.error()};
  return std::make_unique<FileFeed>(*std::move(source), *std::move(decoder));
}

std::unique_ptr<SampleFeed> row_feed(std::unique_ptr<RowSource> rows) {
  return std::make_unique<RowFeed>(std::move(rows));
}

Status pump_all(SampleFeed& feed, std::string what, const SampleFeed::BlockFn& take) {
  Progress progress{std::move(what), feed.unit(), feed.total()};
  bool more = true;
  while (more && !interrupted()) {
    const auto pumped = feed.pump(take);
    if (!pumped) return Failure{pumped.error()};
    more = *pumped;
    progress.update(feed.done());
  }
  return {};
}

}  // namespace anomalyd::tools
