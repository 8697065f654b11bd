#include "daemon/runtime/feedback_topic.hpp"

#include <pthread.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"

namespace anomalyd::runtime {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr auto kPoll = 200ms;
constexpr std::uintmax_t kMaxBytes = 1 << 20;
constexpr const char* kUnnamed = "feedback topic";  // who says it, if the record does not tell

}  // namespace

FeedbackTopic::FeedbackTopic(Outside outside)
    : outside_{std::move(outside)},
      place_{outside_.state_folder / "feedback_topic.json"},
      thread_{[this](const std::stop_token& stop) { run(stop); }} {}

FeedbackTopic::~FeedbackTopic() = default;  // the jthread asks to stop and joins

void FeedbackTopic::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "anomalyd-feedbk");
  std::string told;  // once, not every few seconds
  while (!stop.stop_requested()) {
    const auto done = read(stop);
    if (done) continue;
    if (told != done.error().message) outside_.on_trouble(done.error());
    told = done.error().message;
    std::unique_lock lock{mutex_};
    stopped_.wait_for(lock, stop, outside_.pause, [] { return false; });
  }
}

/// Reads until it is to stop, or something is wrong.
Status FeedbackTopic::read(const std::stop_token& stop) {
  auto from = load();
  if (!from) return Failure{std::move(from.error())};
  auto feed = outside_.open(*std::move(from));
  if (!feed) return fail(std::move(feed.error()), "reading the feedback topic");
  Status trouble;
  while (trouble && !stop.stop_requested()) {
    bool any = false;
    auto polled = (*feed)->poll(kPoll, [&](const Record& record) {
      any = true;
      if (trouble) trouble = take(record);
    });
    if (trouble && any) trouble = save((*feed)->positions());
    if (trouble && !polled) trouble = fail(std::move(polled.error()), "reading the feedback topic");
  }
  return trouble;
}

/// Errors are those of the disk: the record is then read again.
Status FeedbackTopic::take(const Record& record) const {
  auto request = parse_feedback_request(record.value);
  const std::string by = request && !request->by.empty() ? request->by : kUnnamed;
  auto feedback = request ? feedback_of(*request, outside_.state_folder, outside_.clock.wall())
                          : Result<Feedback>{Failure{std::move(request.error())}};
  if (feedback) return give_feedback(*feedback, by, outside_.state_folder, outside_.audit);
  return outside_.audit.append(
      {.event = "feedback_refused",
       .group = {},
       .version = {},
       .reason = std::string{record.topic} + "[" + std::to_string(record.partition) + "]@" +
                 std::to_string(record.offset) + ": " + feedback.error().message,
       .by = by,
       .details = {}});
}

Result<std::vector<Position>> FeedbackTopic::load() const {
  std::vector<Position> positions;
  std::error_code error;
  if (!std::filesystem::exists(place_, error)) return positions;
  const auto text = read_whole(place_, kMaxBytes);
  if (!text) return Failure{text.error()};
  try {
    for (const json& one : json::parse(*text)) {
      positions.push_back({{one.at("topic"), one.at("partition")}, one.at("offset")});
    }
  } catch (const json::exception& damage) {
    return fail(ErrorKind::kIncompatible,
                place_.string() + ": " + damage.what() +
                    "; remove it to read the feedback topic from its beginning");
  }
  return positions;
}

Status FeedbackTopic::save(const std::vector<Position>& positions) const {
  json all = json::array();
  for (const Position& one : positions) {
    all.push_back({{"topic", one.partition.topic},
                   {"partition", one.partition.partition},
                   {"offset", one.offset}});
  }
  return write_durably(place_, all.dump() + "\n");
}

}  // namespace anomalyd::runtime
