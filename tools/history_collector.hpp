#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/windower.hpp"

namespace anomalyd::tools {

/// Puts samples in order, series by series, and keeps their newest rows: what `train` learns from.
class HistoryCollector {
 public:
  /// `max_rows` of each series are kept, the newest ones.
  HistoryCollector(const pipeline::Windower::Options& window, std::size_t max_rows)
      : window_{window}, max_rows_{max_rows} {}

  void take(const SampleBlock& block);

  /// Series that share their channels, by the name of the group.
  struct Group {
    std::vector<Channel> channels;
    std::vector<pipeline::History> histories;
    std::map<std::string, PartitionId> partition_of;  ///< Of the series; the first one, of several.
    [[nodiscard]] std::size_t num_rows() const noexcept;
  };
  /// Ends the collection. Series of fewer than `min_rows` rows are left out.
  [[nodiscard]] std::map<std::string, Group> groups(std::size_t min_rows);

  [[nodiscard]] std::size_t num_series() const noexcept { return series_.size(); }

 private:
  struct Series {
    PartitionId partition;
    std::shared_ptr<const Schema> schema;  // of its newest row
    pipeline::Windower windower;
    pipeline::History history;
  };
  void trim(pipeline::History& history) const;

  pipeline::Windower::Options window_;
  std::size_t max_rows_;
  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace anomalyd::tools
