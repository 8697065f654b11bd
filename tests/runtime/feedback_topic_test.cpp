#include "daemon/runtime/feedback_topic.hpp"

#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

/// A topic of one partition; it outlives the feeds that read it.
struct Topic {
  std::vector<std::string> records;
  std::vector<Offset> begun_at;
  int failures = 0;             // so many openings fail first
  std::promise<void> all_read;  // and the positions were asked for after that
  bool told = false;
};

class Feed final : public RecordFeed {
 public:
  Feed(Topic& topic, Offset next) : topic_{topic}, next_{next} {}
  Status poll(std::chrono::milliseconds, const TakeFn& take) override {
    const auto size = static_cast<Offset>(topic_.records.size());
    if (next_ == size && !std::exchange(topic_.told, true)) topic_.all_read.set_value();
    if (next_ == size) std::this_thread::yield();
    for (; next_ < size; ++next_) {
      Record record;
      record.topic = "said";
      record.offset = next_;
      record.value = topic_.records[static_cast<std::size_t>(next_)];
      take(record);
    }
    return {};
  }
  std::vector<Position> positions() const override { return {{{"said", 0}, next_}}; }

 private:
  Topic& topic_;
  Offset next_;
};

class FeedbackTopicTest : public ::testing::Test {
 protected:
  FeedbackTopicTest() {
    Alert alert;
    alert.id = "a1b2";
    alert.series = "m0";
    alert.start = EventTime{100s};
    alert.time = EventTime{160s};
    EXPECT_TRUE(IncidentLog{folder_.path()}.add(alert));
  }
  /// Runs until the topic was read to its end.
  void run() {
    topic_.told = false;
    topic_.all_read = {};
    auto done = topic_.all_read.get_future();
    const FeedbackTopic reader{
        {.open = [this](std::vector<Position> from) -> Result<std::unique_ptr<RecordFeed>> {
           if (topic_.failures-- > 0) return fail(ErrorKind::kUnavailable, "no broker answers");
           const Offset begin = from.empty() ? 0 : from.front().offset;
           topic_.begun_at.push_back(begin);
           return std::make_unique<Feed>(topic_, begin);
         },
         .state_folder = folder_.path(),
         .audit = *audit_,
         .clock = system_clock(),
         .on_trouble = [this](const Error& error) { troubles_.push_back(error.message); },
         .pause = 1ms}};
    ASSERT_EQ(done.wait_for(20s), std::future_status::ready);
  }
  std::vector<Feedback> kept() const {
    return FeedbackStore{folder_.path()}.read().value().feedback;
  }
  std::string audit() const { return read_whole(folder_.path() / "audit.ndjson", 1 << 20).value(); }

  testing::TemporaryFolder folder_;
  std::unique_ptr<AuditLog> audit_ =
      AuditLog::open(folder_.path() / "audit.ndjson", system_clock()).value();
  Topic topic_;
  std::vector<std::string> troubles_;
};

TEST_F(FeedbackTopicTest, KeepsWhatIsSaidAndGoesOnAfterARestart) {
  topic_.records = {R"({"incident":"a1","verdict":"fault","name":"pump","by":"anna"})"};
  run();
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(kept()[0].incident, "a1b2");
  EXPECT_EQ(kept()[0].end, EventTime{160s});
  EXPECT_EQ(class_of(kept()[0]), "fault: pump");
  EXPECT_THAT(audit(),
              AllOf(HasSubstr(R"("event":"feedback")"), HasSubstr(R"("by":"anna")"),
                    HasSubstr(R"("reason":"fault: pump")"), HasSubstr(R"("incident":"a1b2")")));
  topic_.records.push_back(R"({"incident":"a1b2","verdict":"benign"})");
  run();
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(class_of(kept()[0]), "benign: unnamed");
  EXPECT_THAT(topic_.begun_at, ElementsAre(0, 1));
  EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(FeedbackTopicTest, RefusesWhatItCannotUseOnceAndSaysWhere) {
  topic_.records = {"{torn", R"({"incident":"a1b2","verdict":"odd"})",
                    R"({"incident":"ffff","verdict":"fault"})",
                    R"({"incident":"a1b2","verdict":"fault","when":"now"})",
                    R"({"incident":"a1b2","verdict":"benign","name":"backup"})"};
  run();
  run();
  EXPECT_EQ(kept().size(), 1U) << "what is good behind them is taken";
  EXPECT_THAT(audit(), AllOf(HasSubstr("said[0]@0: found no JSON object"),
                             HasSubstr("said[0]@1: 'verdict' is 'odd'; expected benign or fault"),
                             HasSubstr("said[0]@2: incident 'ffff' is unknown"),
                             HasSubstr("said[0]@3: found field 'when'")));
  const std::string lines = audit();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 5);
}

TEST_F(FeedbackTopicTest, TriesAgainWhereTheTopicCannotBeRead) {
  topic_.failures = 3;
  topic_.records = {R"({"incident":"a1b2","verdict":"fault"})"};
  run();
  EXPECT_EQ(kept().size(), 1U);
  EXPECT_THAT(troubles_, ElementsAre("reading the feedback topic: no broker answers"));
}

TEST_F(FeedbackTopicTest, SaysThatThePlaceToGoOnIsDamaged) {
  const auto place = folder_.write("feedback_topic.json", "{\"a\":");
  topic_.records = {R"({"incident":"a1b2","verdict":"fault"})"};
  std::promise<std::string> told;
  std::atomic<bool> once = false;
  const FeedbackTopic reader{
      {.open = [](const std::vector<Position>&) -> Result<std::unique_ptr<RecordFeed>> {
         return fail(ErrorKind::kInvalid, "not to be asked");
       },
       .state_folder = folder_.path(),
       .audit = *audit_,
       .clock = system_clock(),
       .on_trouble =
           [&](const Error& error) {
             if (!once.exchange(true)) told.set_value(error.message);
           },
       .pause = 1ms}};
  EXPECT_THAT(told.get_future().get(),
              AllOf(HasSubstr(place.string()), HasSubstr("remove it to read")));
}

}  // namespace
}  // namespace anomalyd::runtime
