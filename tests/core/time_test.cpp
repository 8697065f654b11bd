#include "daemon/core/time.hpp"

#include <gtest/gtest.h>

namespace anomalyd {
namespace {

using std::chrono::microseconds;

TEST(Rfc3339, ShowsMillisecondsAndMicrosecondsOnlyWhereThereAreAny) {
  EXPECT_EQ(to_rfc3339(EventTime{microseconds{1'700'000'000'120'000}}), "2023-11-14T22:13:20.120Z");
  EXPECT_EQ(to_rfc3339(EventTime{microseconds{1'700'000'000'120'007}}),
            "2023-11-14T22:13:20.120007Z");
}

TEST(Rfc3339, HandlesTimesBeforeTheEpoch) {
  EXPECT_EQ(to_rfc3339(EventTime{microseconds{-1}}), "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace anomalyd
