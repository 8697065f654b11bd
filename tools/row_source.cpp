#include "tools/row_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <set>
#include <thread>

#include "tools/csv_file.hpp"
#include "tools/host_metrics.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

constexpr double kWeek = 7 * 86400;

class FleetRows final : public RowSource {
 public:
  explicit FleetRows(const Fleet::Options& options) : options_{options}, fleet_{options} {}

  Result<std::optional<SourceRow>> next() override {
    row_ = fleet_.next();
    if (!row_) return std::nullopt;
    return SourceRow{"fleet", fleet_.name(row_->machine), row_->time, Fleet::channels(),
                     row_->values};
  }
  std::size_t num_rows() const override { return fleet_.num_rows(); }
  std::vector<std::string> groups() const override { return {"fleet"}; }
  Truth truth() const override {
    const double judged = std::chrono::duration<double>(options_.span - options_.clean).count();
    return {.num_series = options_.machines,
            .start = options_.start + options_.clean,
            .series_weeks = static_cast<double>(options_.machines) * judged / kWeek,
            .faults = fleet_.faults()};
  }

 private:
  Fleet::Options options_;
  Fleet fleet_;
  std::optional<Fleet::Row> row_;
};

/// One labelled series and how far it has been published.
struct Reel {
  std::string group;
  std::string id;
  LabelledSeries series;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t judged_from = 0;  // rows before this one are for learning
  std::size_t at = 0;
  std::chrono::microseconds elapsed{0};  // since its first row; never goes back
};

class DatasetRows final : public RowSource {
 public:
  explicit DatasetRows(std::vector<Reel> reels) : reels_{std::move(reels)} {
    for (std::size_t i = 0; i < reels_.size(); ++i) {
      if (reels_[i].at < reels_[i].end) queue_.push({reels_[i].elapsed, i});
    }
  }

  Result<std::optional<SourceRow>> next() override {
    if (queue_.empty()) return std::nullopt;
    const std::size_t which = queue_.top().second;
    queue_.pop();
    Reel& reel = reels_[which];
    const std::size_t row = reel.at++;
    if (reel.at < reel.end) {
      reel.elapsed =
          std::max(reel.elapsed, reel.series.times[reel.at] - reel.series.times[reel.begin]);
      queue_.push({reel.elapsed, which});
    }
    return SourceRow{reel.group, reel.id, reel.series.times[row], reel.series.channels,
                     reel.series.row(row)};
  }
  std::size_t num_rows() const override {
    std::size_t rows = 0;
    for (const Reel& reel : reels_) rows += reel.end - reel.begin;
    return rows;
  }
  std::vector<std::string> groups() const override {
    std::set<std::string> names;
    for (const Reel& reel : reels_) names.insert(reel.group);
    return {names.begin(), names.end()};
  }
  Truth truth() const override;

 private:
  using Turn = std::pair<std::chrono::microseconds, std::size_t>;
  std::vector<Reel> reels_;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> queue_;
};

Truth DatasetRows::truth() const {
  Truth truth{
      .num_series = reels_.size(), .start = EventTime::max(), .series_weeks = 0, .faults = {}};
  for (const Reel& reel : reels_) {
    const std::size_t from = std::max(reel.begin, reel.judged_from);
    if (from >= reel.end) continue;
    const auto& times = reel.series.times;
    truth.start = std::min(truth.start, times[from]);
    truth.series_weeks +=
        std::chrono::duration<double>(times[reel.end - 1] - times[from]).count() / kWeek;
    for (std::size_t i = from; i < reel.end; ++i) {
      if (reel.series.labels[i] == 0) continue;
      const bool goes_on = i > from && reel.series.labels[i - 1] != 0;
      if (!goes_on) truth.faults.push_back({"labelled", reel.id, {}, times[i], times[i]});
      truth.faults.back().end = times[i];
    }
  }
  return truth;
}

class CsvRows final : public RowSource {
 public:
  CsvRows(std::vector<std::filesystem::path> files, CsvColumns columns)
      : files_{std::move(files)}, columns_{std::move(columns)} {}

  Result<std::optional<SourceRow>> next() override {
    while (true) {
      if (!file_) {
        if (next_file_ == files_.size()) return std::nullopt;
        if (auto opened = open_next(); !opened) return Failure{opened.error()};
      }
      const auto more = file_->next();
      if (!more) return Failure{more.error()};
      if (*more) break;
      file_.reset();
    }
    const auto fields = file_->fields();
    if (channels_.empty()) find_channels(fields);
    const auto time = parse_time(fields[time_column_]);
    if (!time) return file_->fail_here(time.error().message);
    values_.clear();
    for (const std::size_t column : channel_columns_) {
      const auto value = parse_cell(fields[column]);
      if (!value) {
        return file_->fail_here(fmt::format("{} is '{}'; expected a number or nothing",
                                            file_->header()[column], fields[column]));
      }
      values_.push_back(*value);
    }
    const std::string_view series =
        series_column_ ? fields[*series_column_] : std::string_view{name_};
    return SourceRow{"csv", series, *time, channels_, values_};
  }
  std::size_t num_rows() const override { return 0; }
  std::vector<std::string> groups() const override { return {"csv"}; }

  Status open_next() {
    const auto& path = files_[next_file_++];
    auto file = CsvFile::open(path);
    if (!file) return Failure{file.error()};
    file_ = *std::move(file);
    name_ = path.stem().stem().string();  // "a.csv.gz" is series "a"
    channels_.clear();

    static constexpr std::string_view kTimes[] = {"t",         "ts",   "time",
                                                  "timestamp", "date", "datetime"};
    const std::string_view wanted[] = {columns_.time};
    const auto time =
        columns_.time.empty() ? file_->find_column(kTimes) : file_->find_column(wanted);
    if (!time)
      return file_->fail_here("no column with the time; expected --time COLUMN to name it");
    time_column_ = *time;
    series_column_.reset();
    if (!columns_.series.empty()) {
      const std::string_view series[] = {columns_.series};
      series_column_ = file_->find_column(series);
      if (!series_column_) {
        return file_->fail_here(
            fmt::format("no column '{}'; expected it in the header", columns_.series));
      }
    }
    return {};
  }

 private:
  void find_channels(std::span<const std::string_view> first_record) {
    channel_columns_.clear();
    for (std::size_t i = 0; i < first_record.size(); ++i) {
      const std::string& name = file_->header()[i];
      if (i == time_column_ || i == series_column_ || name == "label") continue;
      if (!parse_cell(first_record[i])) continue;
      channel_columns_.push_back(i);
      channels_.push_back({name, ""});
    }
  }

  std::vector<std::filesystem::path> files_;
  CsvColumns columns_;
  std::size_t next_file_ = 0;
  std::optional<CsvFile> file_;
  std::string name_;
  std::size_t time_column_ = 0;
  std::optional<std::size_t> series_column_;
  std::vector<std::size_t> channel_columns_;
  std::vector<Channel> channels_;
  std::vector<double> values_;
};

class HostRows final : public RowSource {
 public:
  HostRows(std::chrono::milliseconds period, const std::atomic<bool>& stop)
      : period_{period}, stop_{stop}, due_{system_clock().monotonic()} {
    (void)host_.sample(system_clock().wall());  // the first row has no rates: not for publishing
  }

  Result<std::optional<SourceRow>> next() override {
    due_ += period_;
    while (system_clock().monotonic() < due_) {
      if (stop_) return std::nullopt;
      const auto left = due_ - system_clock().monotonic();
      std::this_thread::sleep_for(
          std::clamp<std::chrono::nanoseconds>(left, std::chrono::nanoseconds{0}, kPatience));
    }
    const EventTime now = std::chrono::floor<std::chrono::milliseconds>(system_clock().wall());
    values_ = host_.sample(now);
    return SourceRow{"host", name_, now, HostMetrics::channels(), values_};
  }
  std::size_t num_rows() const override { return 0; }
  std::vector<std::string> groups() const override { return {"host"}; }

 private:
  static constexpr std::chrono::milliseconds kPatience{50};  // how late a stop may be noticed
  HostMetrics host_;
  std::string name_ = host_.host_name();
  std::chrono::milliseconds period_;
  const std::atomic<bool>& stop_;
  MonotonicTime due_;
  std::vector<double> values_;
};

}  // namespace

std::unique_ptr<RowSource> fleet_rows(const Fleet::Options& options) {
  return std::make_unique<FleetRows>(options);
}

Result<std::unique_ptr<RowSource>> dataset_rows(const Dataset& dataset, DatasetPart part) {
  std::vector<Reel> reels;
  for (const Dataset::Entry& entry : dataset.entries()) {
    auto series = dataset.read(entry);
    if (!series) return Failure{series.error()};
    const std::size_t begin = part == DatasetPart::kTest ? entry.train_end : 0;
    const std::size_t end = part == DatasetPart::kTraining ? entry.train_end : series->size();
    reels.push_back({.group = entry.group,
                     .id = entry.id(),
                     .series = *std::move(series),
                     .begin = begin,
                     .end = end,
                     .judged_from = entry.train_end,
                     .at = begin});
  }
  return std::make_unique<DatasetRows>(std::move(reels));
}

Result<std::unique_ptr<RowSource>> csv_rows(std::vector<std::filesystem::path> files,
                                            const CsvColumns& columns) {
  auto rows = std::make_unique<CsvRows>(std::move(files), columns);
  if (auto opened = rows->open_next(); !opened) return Failure{opened.error()};
  return rows;
}

std::unique_ptr<RowSource> host_rows(std::chrono::milliseconds period,
                                     const std::atomic<bool>& stop) {
  return std::make_unique<HostRows>(period, stop);
}

}  // namespace anomalyd::tools
