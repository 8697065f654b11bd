#include "daemon/core/state_codec.hpp"

#include <gmock/gmock.h>

namespace anomalyd {
namespace {

TEST(StateCodec, ReadsBackWhatWasWritten) {
  StateWriter out;
  out.put(std::int64_t{-7});
  out.put_text("pump 3");
  out.put_all(std::vector<double>{1.5, -0.1});
  StateReader in{out.bytes()};
  std::int64_t number = 0;
  std::string text;
  std::vector<double> values;
  ASSERT_TRUE(in.get(number) && in.get_text(text) && in.get_all(values));
  EXPECT_EQ(number, -7);
  EXPECT_EQ(text, "pump 3");
  EXPECT_THAT(values, ::testing::ElementsAre(1.5, -0.1));
  EXPECT_TRUE(in.at_end());
}

TEST(StateCodec, RefusesEveryTruncation) {
  StateWriter out;
  out.put_text("series");
  out.put_all(std::vector<float>(10, 1.0F));
  for (std::size_t size = 0; size < out.bytes().size(); ++size) {
    StateReader in{std::span{out.bytes()}.first(size)};
    std::string text;
    std::vector<float> values;
    EXPECT_FALSE(in.get_text(text) && in.get_all(values)) << size << " bytes";
    EXPECT_FALSE(in.ok());
  }
}

TEST(StateCodec, DoesNotBelieveASizeBeyondWhatIsLeft) {
  StateWriter out;
  out.put(std::uint64_t{1} << 60);
  StateReader in{out.bytes()};
  std::vector<double> values;
  EXPECT_FALSE(in.get_all(values));
  EXPECT_TRUE(values.empty());
}

}  // namespace
}  // namespace anomalyd
