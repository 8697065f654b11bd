#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/row_source.hpp"
#include "tools/sample_feed.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// Where the samples of `train`, `retrain` and `replay` come from.
struct FeedArguments {
  std::vector<std::string> files;
  std::string data;
  std::string only;
  TopicRange range;

  /// Adds FILES, --data, --only, --from and --until.
  void add_to(CLI::App& command);
  /// Whether any of them was given.
  [[nodiscard]] bool given() const {
    return !files.empty() || !data.empty() || !range.from.empty() || !range.until.empty();
  }
  /// A folder, files, or else the topics of the configuration. `part` is that of a folder. Errors:
  /// kInvalid when there is none of them.
  [[nodiscard]] Result<std::unique_ptr<SampleFeed>> open(const config::Options& options,
                                                         DatasetPart part) const;
};

}  // namespace anomalyd::tools
