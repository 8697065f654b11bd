#include "daemon/runtime/feedback.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Verdict = Feedback::Verdict;

EventTime at(std::int64_t micros) { return EventTime{std::chrono::microseconds{micros}}; }

constexpr std::int64_t kStart = 1'700'000'000'123'456;

Feedback feedback(const std::string& incident, Verdict verdict, const std::string& name) {
  return {at(kStart + 9'000'000),  incident, "m0", at(kStart),
          at(kStart + 60'000'000), verdict,  name};
}

class FeedbackTest : public ::testing::Test {
 protected:
  void append(const std::string& text) const {
    std::ofstream{store_.path(), std::ios::app | std::ios::binary} << text;
  }
  testing::TemporaryFolder folder_;
  FeedbackStore store_{folder_.path()};
};

TEST_F(FeedbackTest, IsNoneWithoutAFile) {
  const auto contents = store_.read();
  ASSERT_TRUE(contents);
  EXPECT_THAT(contents->feedback, IsEmpty());
}

TEST_F(FeedbackTest, GivesBackWhatWasSaidAsLabels) {
  ASSERT_TRUE(store_.add(feedback("i1", Verdict::kBenign, "nightly \"backup\"\n")));
  ASSERT_TRUE(store_.add(feedback("i2", Verdict::kFault, "pump")));
  const auto contents = store_.read().value();
  EXPECT_THAT(contents.ignored, IsEmpty());
  ASSERT_THAT(contents.feedback, SizeIs(2));
  EXPECT_EQ(contents.feedback[0].time, at(kStart + 9'000'000));
  const auto labels = labels_of(contents.feedback);
  EXPECT_EQ(labels[0].name, "benign: nightly \"backup\"\n");
  EXPECT_EQ(labels[1].name, "fault: pump");
  EXPECT_EQ(labels[1].series, "m0");
  EXPECT_EQ(labels[1].start, at(kStart));
  EXPECT_EQ(labels[1].end, at(kStart + 60'000'000));
}

TEST_F(FeedbackTest, BelievesTheLastLineOnAnIncident) {
  ASSERT_TRUE(store_.add(feedback("i1", Verdict::kFault, "pump")));
  ASSERT_TRUE(store_.add(feedback("i2", Verdict::kFault, "belt")));
  ASSERT_TRUE(store_.add(feedback("i1", Verdict::kBenign, "test run")));
  const auto contents = store_.read().value();
  ASSERT_THAT(contents.feedback, SizeIs(2));
  EXPECT_EQ(contents.feedback[0].name, "belt");
  EXPECT_EQ(contents.feedback[1].name, "test run");
}

TEST_F(FeedbackTest, GoesOnBehindATornLine) {
  ASSERT_TRUE(store_.add(feedback("i1", Verdict::kFault, "pump")));
  append(R"({"time":"2026-11-20T22:15:04Z","incid)");
  EXPECT_THAT(store_.read().value().feedback, SizeIs(1));
  EXPECT_THAT(store_.read().value().ignored, IsEmpty());
  ASSERT_TRUE(store_.add(feedback("i2", Verdict::kFault, "belt")));
  const auto contents = store_.read().value();
  EXPECT_THAT(contents.feedback, SizeIs(2));
  ASSERT_THAT(contents.ignored, SizeIs(1));
  EXPECT_THAT(contents.ignored[0].message, HasSubstr("feedback.ndjson:2: not a JSON object"));
}

TEST_F(FeedbackTest, SaysWhatIsWrongWithALine) {
  const std::string good = R"("time":"2026-11-20T22:15:04Z","series":"m0",)"
                           R"("end":"2026-11-20T22:15:04.5Z","name":"x")";
  append("{" + good + R"(,"incident":"i","start":"2026-11-20T22:15:04Z","verdict":"odd"})" + "\n");
  append("{" + good + R"(,"incident":"i","start":"yesterday","verdict":"fault"})" + "\n");
  append("{" + good + R"(,"start":"2026-11-20T22:15:04Z","verdict":"fault"})" + "\n");
  const auto contents = store_.read().value();
  EXPECT_THAT(contents.feedback, IsEmpty());
  ASSERT_THAT(contents.ignored, SizeIs(3));
  EXPECT_THAT(contents.ignored[0].message,
              HasSubstr(":1: 'verdict' is 'odd'; expected benign or fault"));
  EXPECT_THAT(contents.ignored[1].message,
              HasSubstr(":2: 'start' is 'yesterday'; expected a time"));
  EXPECT_THAT(contents.ignored[2].message, HasSubstr(":3: 'incident' is missing"));
}

TEST_F(FeedbackTest, RefusesWhatCannotBeUsed) {
  EXPECT_FALSE(store_.add(feedback("", Verdict::kFault, "pump")));
  EXPECT_FALSE(store_.add(feedback("i1", Verdict::kFault, "")));
  Feedback backwards = feedback("i1", Verdict::kFault, "pump");
  backwards.end = at(0);
  EXPECT_FALSE(store_.add(backwards));
  EXPECT_FALSE(FeedbackStore{"/proc/nowhere"}.add(feedback("i1", Verdict::kFault, "pump")));
}

TEST_F(FeedbackTest, ReadsWhatHadBeenSaidUntilThen) {
  Feedback early = feedback("i1", Verdict::kFault, "pump"), late = early;
  late.time += std::chrono::hours{1};
  late.verdict = Verdict::kBenign;
  ASSERT_TRUE(store_.add(early));
  ASSERT_TRUE(store_.add(late));
  EXPECT_EQ(store_.read(early.time).value().feedback.at(0).verdict, Verdict::kFault);
  EXPECT_EQ(store_.read().value().feedback.at(0).verdict, Verdict::kBenign);
  EXPECT_THAT(store_.read(at(kStart)).value().feedback, IsEmpty());
}

TEST(FeedbackRequestTest, GivesBackWhatWasSaid) {
  const FeedbackRequest said{"7c1f", Verdict::kFault, "pump \"2\"", "anna"};
  const auto back = parse_feedback_request(to_json(said)).value();
  EXPECT_EQ(back.incident, said.incident);
  EXPECT_EQ(back.verdict, said.verdict);
  EXPECT_EQ(back.name, said.name);
  EXPECT_EQ(back.by, said.by);
}

TEST(FeedbackRequestTest, SaysWhatIsWrong) {
  const auto wrong = [](const char* text) { return parse_feedback_request(text).error().message; };
  EXPECT_THAT(wrong(""), HasSubstr("found no JSON object"));
  EXPECT_THAT(wrong("[1]"), HasSubstr("found no JSON object"));
  EXPECT_THAT(wrong(R"({"verdict":"fault"})"), HasSubstr("'incident' is missing or empty"));
  EXPECT_THAT(wrong(R"({"incident":"a"})"), HasSubstr("'verdict' is ''; expected benign or fault"));
  EXPECT_THAT(wrong(R"({"incident":7,"verdict":"fault"})"), HasSubstr("found field 'incident'"));
  EXPECT_THAT(wrong(R"({"incident":"a","verdict":"fault","x":""})"), HasSubstr("found field 'x'"));
}

}  // namespace
}  // namespace anomalyd::runtime
