#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "connectors/codec/sample_decoder.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "tools/field_table.hpp"

namespace anomalyd::tools {

/// What `init` believes of a topic after looking at some of its records, and why.
struct TopicGuess {
  /// A sentence for a person: "series id" - "host" - "12 values, times rise in each".
  struct Finding {
    std::string aspect;
    std::string value;
    std::string evidence;
  };
  struct FoundChannel {
    std::string name;
    double min = 0;
    double max = 0;
    double present = 0;    ///< Share of the rows that have it, 0..1.
    bool counter = false;  ///< It never falls, so it becomes a rate.
  };
  connectors::SampleDecoder::Options input;  ///< Reads the topic.
  std::vector<FoundChannel> channels;
  std::optional<std::chrono::microseconds> period;  ///< Time between two rows of a series.
  std::size_t num_series = 0;
  std::size_t num_rows = 0;
  std::size_t num_rejected = 0;
  std::vector<Finding> findings;
};

/// Guesses how to read a topic, then reads the sample in that way and reports what came out.
/// Errors: kInvalid when there is no record, or none of the formats fits.
[[nodiscard]] Result<TopicGuess> guess_topic(const std::vector<SampledRecord>& records,
                                             Clock& clock);

}  // namespace anomalyd::tools
