#include "daemon/runtime/request_topic.hpp"

#include <pthread.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr auto kPoll = 200ms;
constexpr std::uintmax_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxThreadName = 15;  // of Linux

}  // namespace

RequestTopic::RequestTopic(Outside outside)
    : outside_{std::move(outside)},
      place_{outside_.state_folder / (outside_.name + "_topic.json")},
      thread_{[this](const std::stop_token& stop) { run(stop); }} {}

RequestTopic::~RequestTopic() = default;  // the jthread asks to stop and joins

void RequestTopic::run(const std::stop_token& stop) {
  const std::string name = ("anomalyd-" + outside_.name).substr(0, kMaxThreadName);
  pthread_setname_np(pthread_self(), name.c_str());
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
Status RequestTopic::read(const std::stop_token& stop) {
  const std::string what = "reading the " + outside_.name + " topic";
  auto from = load();
  if (!from) return Failure{std::move(from.error())};
  const bool is_first = !*from;
  auto feed = outside_.open(*std::move(from));
  if (!feed) return fail(std::move(feed.error()), what);
  Positions positions;
  for (const Position& one : (*feed)->positions()) positions[one.partition] = one.offset;
  // Where it began, so that what is written while no daemon runs is seen by the next one.
  Status trouble = is_first ? save(positions) : Status{};
  while (trouble && !stop.stop_requested()) {
    bool any = false;
    auto polled = (*feed)->poll(kPoll, [&](const Record& record) {
      if (!trouble || stop.stop_requested()) return;
      any = true;
      trouble = take(record, positions, stop);
    });
    if (trouble && any && outside_.at_crash == AtCrash::kRepeated) trouble = save(positions);
    if (trouble && !polled) trouble = fail(std::move(polled.error()), what);
  }
  return trouble;
}

/// Errors are those of this host: the record is then read again, if its place was not kept before.
Status RequestTopic::take(const Record& record, Positions& positions,
                          const std::stop_token& stop) const {
  positions[{std::string{record.topic}, record.partition}] = record.offset + 1;
  if (outside_.at_crash == AtCrash::kLost) {
    if (auto saved = save(positions); !saved) return saved;
  }
  auto refused = outside_.obey(record.value, stop);
  if (!refused) return Failure{std::move(refused.error())};
  if (!*refused) return {};
  const Refusal& refusal = **refused;
  return outside_.audit.append({.event = outside_.name + "_refused",
                                .group = {},
                                .version = {},
                                .reason = std::string{record.topic} + "[" +
                                          std::to_string(record.partition) + "]@" +
                                          std::to_string(record.offset) + ": " + refusal.reason,
                                .by = refusal.by.empty() ? outside_.name + " topic" : refusal.by,
                                .details = {}});
}

/// Nothing where there are none yet.
Result<std::optional<std::vector<Position>>> RequestTopic::load() const {
  std::error_code error;
  if (!std::filesystem::exists(place_, error)) return std::optional<std::vector<Position>>{};
  const auto text = read_whole(place_, kMaxBytes);
  if (!text) return Failure{text.error()};
  std::vector<Position> positions;
  try {
    for (const json& one : json::parse(*text)) {
      positions.push_back({{one.at("topic"), one.at("partition")}, one.at("offset")});
    }
  } catch (const json::exception& damage) {
    return fail(ErrorKind::kIncompatible, place_.string() + ": " + damage.what() +
                                              "; remove it to read the " + outside_.name +
                                              " topic as at the first start");
  }
  return std::optional{std::move(positions)};
}

Status RequestTopic::save(const Positions& positions) const {
  json all = json::array();
  for (const auto& [partition, offset] : positions) {
    all.push_back(
        {{"topic", partition.topic}, {"partition", partition.partition}, {"offset", offset}});
  }
  return write_durably(place_, all.dump() + "\n");
}

}  // namespace anomalyd::runtime
