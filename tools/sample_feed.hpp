#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "tools/row_source.hpp"

namespace anomalyd::tools {

/// Samples from a topic range, files or a data folder, in blocks, until they end.
class SampleFeed {
 public:
  using BlockFn = std::function<Status(const SampleBlock&)>;
  virtual ~SampleFeed() = default;
  /// Hands over what comes next, if anything has come; false at the end. Errors: those of reading,
  /// and what `take` returns.
  [[nodiscard]] virtual Result<bool> pump(const BlockFn& take) = 0;
  /// How far it is, in `unit()`s; a total of 0 is not known.
  [[nodiscard]] virtual std::size_t done() const = 0;
  [[nodiscard]] virtual std::size_t total() const = 0;
  [[nodiscard]] virtual std::string unit() const = 0;
  /// Records that could not be used.
  [[nodiscard]] virtual std::size_t num_rejected() const { return 0; }
};

/// The part of a topic that is read: texts of the command line, empty for its beginning and end.
struct TopicRange {
  std::string from;
  std::string until;
};

/// Records of the configured topics, decoded as the configuration says.
[[nodiscard]] Result<std::unique_ptr<SampleFeed>> topic_feed(const config::Options& options,
                                                             const TopicRange& range);

/// Records of files, one per line, decoded as the configuration says.
[[nodiscard]] Result<std::unique_ptr<SampleFeed>> file_feed(
    const config::Options& options, std::vector<std::filesystem::path> files);

/// Rows that need no decoding.
[[nodiscard]] std::unique_ptr<SampleFeed> row_feed(std::unique_ptr<RowSource> rows);

/// Hands over all that comes until the end or an interrupt, and shows how far it is. `what` names
/// the work. Errors: those of pump.
[[nodiscard]] Status pump_all(SampleFeed& feed, std::string what, const SampleFeed::BlockFn& take);

}  // namespace anomalyd::tools
