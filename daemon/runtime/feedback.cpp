#include "daemon/runtime/feedback.hpp"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "daemon/runtime/file_io.hpp"

namespace anomalyd::runtime {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kMaxBytes = 64 << 20;

/// Reads what to_rfc3339 writes: "2026-11-20T22:15:04.120Z".
std::optional<EventTime> parse_utc(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t length) -> std::optional<int> {
    int value = 0;
    if (at + length > text.size()) return {};
    const char* end = text.data() + at + length;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    if (error != std::errc{} || stop != end || value < 0) return {};
    return value;
  };
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
  const auto hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return {};
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text.back() != 'Z') {
    return {};
  }
  const auto date = std::chrono::year{*year} / *month / *day;
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};
  std::int64_t micros = 0;
  std::string_view fraction = text.substr(19, text.size() - 20);
  if (!fraction.empty()) {
    if (fraction.front() != '.' || fraction.size() < 2) return {};
    std::string digits{fraction.substr(1, 6)};
    digits.resize(6, '0');
    for (const char c : fraction.substr(1)) {
      if (c < '0' || c > '9') return {};
    }
    for (const char c : digits) micros = micros * 10 + (c - '0');
  }
  return EventTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} +
         std::chrono::minutes{*minute} + std::chrono::seconds{*second} +
         std::chrono::microseconds{micros};
}

Result<Feedback> parse(std::string_view line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, "not a JSON object");
  std::string wrong;
  const auto text = [&](const char* key) -> std::string {
    const auto found = object.find(key);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
    if (wrong.empty()) wrong = std::string{"'"} + key + "' is missing or not a text";
    return {};
  };
  const auto time = [&](const char* key) {
    const std::string value = text(key);
    const auto parsed = parse_utc(value);
    if (!parsed && wrong.empty()) {
      wrong = std::string{"'"} + key + "' is '" + value + "'; expected a time in UTC";
    }
    return parsed.value_or(EventTime{});
  };
  Feedback feedback{time("time"), text("incident"), text("series"), time("start"), time("end"),
                    {},           text("name")};
  const std::string verdict = text("verdict");
  if (wrong.empty() && verdict != "benign" && verdict != "fault") {
    wrong = "'verdict' is '" + verdict + "'; expected benign or fault";
  }
  if (wrong.empty() && feedback.incident.empty()) wrong = "'incident' is empty";
  if (!wrong.empty()) return fail(ErrorKind::kInvalid, std::move(wrong));
  feedback.verdict = verdict == "benign" ? Feedback::Verdict::kBenign : Feedback::Verdict::kFault;
  return feedback;
}

}  // namespace

Status FeedbackStore::add(const Feedback& feedback) const {
  if (feedback.incident.empty() || feedback.name.empty()) {
    return fail(ErrorKind::kInvalid,
                "feedback without " +
                    std::string{feedback.incident.empty() ? "the id of an incident" : "a name"});
  }
  if (feedback.end < feedback.start) {
    return fail(ErrorKind::kInvalid, "feedback on incident " + feedback.incident +
                                         ": found an end, " + to_rfc3339(feedback.end) +
                                         ", before its start, " + to_rfc3339(feedback.start));
  }
  const bool benign = feedback.verdict == Feedback::Verdict::kBenign;
  json object = json::object();
  object["time"] = to_rfc3339(feedback.time);
  object["incident"] = feedback.incident;
  object["series"] = feedback.series;
  object["start"] = to_rfc3339(feedback.start);
  object["end"] = to_rfc3339(feedback.end);
  object["verdict"] = benign ? "benign" : "fault";
  object["name"] = feedback.name;
  const File file{path_, O_RDWR | O_CREAT | O_APPEND};
  if (!file.is_open()) return io_failure(path_, "cannot write");
  const auto known = file.read_all(path_, kMaxBytes);
  if (!known) return Failure{known.error()};
  std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (!known->empty() && known->back() != std::byte{'\n'}) line.insert(0, "\n");
  if (!file.write(std::as_bytes(std::span{line}))) {
    Failure failure = io_failure(path_, "cannot append");
    (void)file.truncate(known->size());
    return failure;
  }
  if (!file.sync()) return io_failure(path_, "cannot append");
  return {};
}

Result<FeedbackStore::Contents> FeedbackStore::read() const {
  Contents contents;
  const File file{path_, O_RDONLY};
  if (!file.is_open() && errno == ENOENT) return contents;
  if (!file.is_open()) return io_failure(path_, "cannot read");
  const auto bytes = file.read_all(path_, kMaxBytes);
  if (!bytes) return Failure{bytes.error()};
  std::string_view left{reinterpret_cast<const char*>(bytes->data()), bytes->size()};
  std::map<std::string, std::pair<std::size_t, Feedback>> by_incident;  // with the line
  for (std::size_t number = 1; !left.empty(); ++number) {
    const std::size_t end = left.find('\n');
    if (end == std::string_view::npos && !parse(left)) break;  // torn
    const std::string_view line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    if (line.empty()) continue;
    auto feedback = parse(line);
    if (feedback) {
      std::string incident = feedback->incident;
      by_incident.insert_or_assign(std::move(incident), std::pair{number, std::move(*feedback)});
    } else {
      contents.ignored.push_back(
          {ErrorKind::kInvalid,
           path_.string() + ":" + std::to_string(number) + ": " + feedback.error().message});
    }
  }
  std::map<std::size_t, Feedback> by_line;
  for (auto& [incident, entry] : by_incident) by_line.emplace(entry.first, std::move(entry.second));
  for (auto& [line, feedback] : by_line) contents.feedback.push_back(std::move(feedback));
  return contents;
}

std::vector<pipeline::Label> labels_of(const std::vector<Feedback>& feedback) {
  std::vector<pipeline::Label> labels;
  for (const Feedback& one : feedback) {
    const bool benign = one.verdict == Feedback::Verdict::kBenign;
    labels.push_back({one.series, one.start, one.end,
                      std::string{benign ? kBenignClass : kFaultClass} + one.name});
  }
  return labels;
}

}  // namespace anomalyd::runtime
