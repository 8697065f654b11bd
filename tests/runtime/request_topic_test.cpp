#include "daemon/runtime/request_topic.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "tests/support/memory_feed.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::MemoryFeed;
using anomalyd::testing::RequestRecords;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;
using AtCrash = RequestTopic::AtCrash;
using Obeyed = Result<std::optional<Refusal>>;

class RequestTopicTest : public ::testing::Test {
 protected:
  RequestTopicTest() {
    Alert alert;
    alert.id = "a1b2";
    alert.series = "m0";
    alert.start = EventTime{100s};
    alert.time = EventTime{160s};
    EXPECT_TRUE(IncidentLog{folder_.path()}.add(alert));
  }
  RequestTopic::Outside outside(std::string name, RequestTopic::ObeyFn obey, AtCrash at_crash) {
    return {.name = std::move(name),
            .open = [this](std::optional<std::vector<Position>> from)
                -> Result<std::unique_ptr<RecordFeed>> {
              if (failures_-- > 0) return fail(ErrorKind::kUnavailable, "no broker answers");
              const Offset begin = from ? from->front().offset : first_;
              begun_at_.push_back(begin);
              return std::make_unique<MemoryFeed>(records_, begin, [this] {
                if (!std::exchange(told_, true)) all_read_.set_value();
              });
            },
            .obey = std::move(obey),
            .at_crash = at_crash,
            .state_folder = folder_.path(),
            .audit = *audit_,
            .on_trouble = [this](const Error& error) { troubles_.push_back(error.message); },
            .pause = 1ms};
  }
  /// Runs until the topic was read to its end, and positions were asked for after that.
  void run(RequestTopic::Outside with) {
    told_ = false;
    all_read_ = {};
    auto done = all_read_.get_future();
    const RequestTopic topic{std::move(with)};
    ASSERT_EQ(done.wait_for(20s), std::future_status::ready);
  }
  void run_feedback() {
    run(outside("feedback", obey_feedback(folder_.path(), *audit_, system_clock()),
                AtCrash::kRepeated));
  }
  /// Does nothing but keep what it was asked for.
  RequestTopic::ObeyFn note_down() {
    return [this](std::string_view text, const std::stop_token&) -> Obeyed {
      obeyed_.emplace_back(text);
      return std::nullopt;
    };
  }
  void run_control() { run(outside("control", note_down(), AtCrash::kLost)); }
  std::vector<Feedback> kept() const {
    return FeedbackStore{folder_.path()}.read().value().feedback;
  }
  std::string audit() const { return read_whole(folder_.path() / "audit.ndjson", 1 << 20).value(); }
  std::string place() const {
    return read_whole(folder_.path() / "control_topic.json", 1 << 20).value();
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<AuditLog> audit_ =
      AuditLog::open(folder_.path() / "audit.ndjson", system_clock()).value();
  RequestRecords records_;
  Offset first_ = 0;  // where a feed without positions begins
  int failures_ = 0;  // so many openings fail first
  std::vector<Offset> begun_at_;
  std::promise<void> all_read_;
  bool told_ = false;
  std::vector<std::string> obeyed_;
  std::vector<std::string> troubles_;
};

TEST_F(RequestTopicTest, KeepsWhatIsSaidAndGoesOnAfterARestart) {
  records_.add(R"({"incident":"a1","verdict":"fault","name":"pump","by":"anna"})");
  run_feedback();
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(kept()[0].incident, "a1b2");
  EXPECT_EQ(kept()[0].end, EventTime{160s});
  EXPECT_EQ(class_of(kept()[0]), "fault: pump");
  EXPECT_THAT(audit(),
              AllOf(HasSubstr(R"("event":"feedback")"), HasSubstr(R"("by":"anna")"),
                    HasSubstr(R"("reason":"fault: pump")"), HasSubstr(R"("incident":"a1b2")")));
  records_.add(R"({"incident":"a1b2","verdict":"benign"})");
  run_feedback();
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(class_of(kept()[0]), "benign: unnamed");
  EXPECT_THAT(audit(), HasSubstr(R"("by":"feedback topic")"));
  EXPECT_THAT(begun_at_, ElementsAre(0, 1));
  EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(RequestTopicTest, RefusesWhatItCannotUseOnceAndSaysWhere) {
  records_.add("{torn");
  records_.add(R"({"incident":"a1b2","verdict":"odd"})");
  records_.add(R"({"incident":"ffff","verdict":"fault","by":"anna"})");
  records_.add(R"({"incident":"a1b2","verdict":"fault","when":"now"})");
  records_.add(R"({"incident":"a1b2","verdict":"benign","name":"backup"})");
  run_feedback();
  run_feedback();
  EXPECT_EQ(kept().size(), 1U) << "what is good behind them is taken";
  EXPECT_THAT(audit(),
              AllOf(HasSubstr(R"("event":"feedback_refused")"),
                    HasSubstr("said[0]@0: found no JSON object"),
                    HasSubstr("said[0]@1: 'verdict' is 'odd'; expected benign or fault"),
                    HasSubstr("said[0]@2: incident 'ffff' is unknown"), HasSubstr(R"("by":"anna")"),
                    HasSubstr("said[0]@3: found field 'when'")));
  const std::string lines = audit();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 5);
}

TEST_F(RequestTopicTest, TriesAgainWhereTheTopicCannotBeRead) {
  failures_ = 3;
  records_.add(R"({"incident":"a1b2","verdict":"fault"})");
  run_feedback();
  EXPECT_EQ(kept().size(), 1U);
  EXPECT_THAT(troubles_, ElementsAre("reading the feedback topic: no broker answers"));
}

TEST_F(RequestTopicTest, SaysThatThePlaceToGoOnIsDamaged) {
  const auto place = folder_.write("feedback_topic.json", "{\"a\":");
  std::promise<std::string> told;
  std::atomic<bool> once = false;
  auto with = outside("feedback", note_down(), AtCrash::kRepeated);
  with.on_trouble = [&](const Error& error) {
    if (!once.exchange(true)) told.set_value(error.message);
  };
  const RequestTopic topic{std::move(with)};
  EXPECT_THAT(told.get_future().get(),
              AllOf(HasSubstr(place.string()), HasSubstr("remove it to read")));
  EXPECT_THAT(begun_at_, IsEmpty());
}

TEST_F(RequestTopicTest, WhatComesWhileNoDaemonRunsIsSeenByTheNextOneAlsoAfterAFirstStart) {
  records_.add("before it came");
  first_ = 1;  // the end
  run_control();
  records_.add("while it was away");
  first_ = 2;
  run_control();
  EXPECT_THAT(obeyed_, ElementsAre("while it was away"));
  EXPECT_THAT(begun_at_, ElementsAre(1, 1));
}

TEST_F(RequestTopicTest, ThePlaceOfWhatACrashMustNotRepeatIsKeptBeforeItIsObeyed) {
  records_.add("one");
  records_.add("two");
  std::vector<std::string> places;
  const auto look = [&](std::string_view, const std::stop_token&) -> Obeyed {
    places.push_back(place());
    return std::nullopt;
  };
  run(outside("control", look, AtCrash::kLost));
  EXPECT_THAT(places, ElementsAre(HasSubstr(R"("offset":1)"), HasSubstr(R"("offset":2)")));
}

TEST_F(RequestTopicTest, ThePlaceOfWhatMayBeRepeatedIsKeptAfterwards) {
  records_.add("one");
  int trouble = 1;
  const auto fail_once = [&](std::string_view text, const std::stop_token&) -> Obeyed {
    obeyed_.emplace_back(text);
    if (trouble-- > 0) return fail(ErrorKind::kExhausted, "the disk is full");
    return std::nullopt;
  };
  run(outside("feedback", fail_once, AtCrash::kRepeated));
  EXPECT_THAT(obeyed_, ElementsAre("one", "one"));
  EXPECT_THAT(troubles_, ElementsAre("the disk is full"));
}

TEST_F(RequestTopicTest, WhatFollowsWhenItIsToStopIsForTheNextOne) {
  records_.add("slow");
  records_.add("never begun");
  std::promise<void> begun;
  const auto wait = [&](std::string_view text, const std::stop_token& stop) -> Obeyed {
    obeyed_.emplace_back(text);
    std::promise<void> stopped;
    const std::stop_callback when{stop, [&] { stopped.set_value(); }};
    begun.set_value();
    stopped.get_future().wait();
    return std::nullopt;
  };
  {
    const RequestTopic topic{outside("control", wait, AtCrash::kLost)};
    begun.get_future().wait();
  }
  EXPECT_THAT(obeyed_, ElementsAre("slow"));
  run_control();
  EXPECT_THAT(obeyed_, ElementsAre("slow", "never begun"));
  EXPECT_THAT(audit(), Not(HasSubstr("refused")));
}

}  // namespace
}  // namespace anomalyd::runtime
