#include "connectors/codec/series_limit.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <utility>

namespace anomalyd::connectors {

bool SeriesLimit::admit(std::string_view series) {
  const std::uint64_t hash = XXH3_64bits(series.data(), series.size());
  if (current_.contains(hash)) return true;
  if (current_.size() >= limit_ && clock_.monotonic() - since_ >= kCountFor) {
    previous_ = std::exchange(current_, {});
    since_ = clock_.monotonic();
  }
  if (current_.size() >= limit_ && !previous_.contains(hash)) return false;
  current_.insert(hash);
  return true;
}

}  // namespace anomalyd::connectors
