#include "daemon/runtime/feedback.hpp"

#include <fcntl.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_manifest.hpp"

namespace anomalyd::runtime {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kMaxBytes = 64 << 20;
constexpr const char* kBenign = "benign";
constexpr const char* kFault = "fault";
constexpr const char* kUnnamed = "unnamed";
constexpr const char* kTopic = "feedback topic";  // who says it, if the record does not tell

std::string_view to_string(Feedback::Verdict verdict) {
  return verdict == Feedback::Verdict::kBenign ? kBenign : kFault;
}

}  // namespace

Result<Feedback> parse_feedback(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, "not a JSON object");
  std::string wrong;
  const auto field = [&](const char* key) -> std::string {
    const auto found = object.find(key);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
    if (wrong.empty()) wrong = std::string{"'"} + key + "' is missing or not a text";
    return {};
  };
  const auto time = [&](const char* key) {
    const std::string value = field(key);
    const auto parsed = parse_rfc3339(value);
    if (!parsed && wrong.empty()) {
      wrong = std::string{"'"} + key + "' is '" + value + "'; expected a time in UTC";
    }
    return parsed.value_or(EventTime{});
  };
  Feedback feedback{time("time"), field("incident"), field("series"), time("start"), time("end"),
                    {},           field("name")};
  const auto verdict = parse_verdict(field("verdict"));
  if (wrong.empty() && !verdict) wrong = verdict.error().message;
  if (wrong.empty() && feedback.incident.empty()) wrong = "'incident' is empty";
  if (!wrong.empty()) return fail(ErrorKind::kInvalid, std::move(wrong));
  feedback.verdict = *verdict;
  return feedback;
}

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
  return append_line(path_, to_json(feedback));
}

std::string to_json(const Feedback& feedback) {
  json object = json::object();
  object["time"] = to_rfc3339(feedback.time);
  object["incident"] = feedback.incident;
  object["series"] = feedback.series;
  object["start"] = to_rfc3339(feedback.start);
  object["end"] = to_rfc3339(feedback.end);
  object["verdict"] = to_string(feedback.verdict);
  object["name"] = feedback.name;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<FeedbackStore::Contents> FeedbackStore::read(EventTime until) const {
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
    if (end == std::string_view::npos && !parse_feedback(left)) break;  // torn
    const std::string_view line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    if (line.empty()) continue;
    auto feedback = parse_feedback(line);
    if (feedback && feedback->time > until) continue;
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

Result<Feedback::Verdict> parse_verdict(std::string_view text) {
  if (text == kBenign) return Feedback::Verdict::kBenign;
  if (text == kFault) return Feedback::Verdict::kFault;
  return fail(ErrorKind::kInvalid,
              "'verdict' is '" + std::string{text} + "'; expected benign or fault");
}

std::string to_json(const FeedbackRequest& request) {
  json object{{"incident", request.incident}, {"verdict", to_string(request.verdict)}};
  if (!request.name.empty()) object["name"] = request.name;
  if (!request.by.empty()) object["by"] = request.by;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<FeedbackRequest> parse_feedback_request(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, "found no JSON object; expected one");
  std::map<std::string, std::string> fields{
      {"incident", ""}, {"verdict", ""}, {"name", ""}, {"by", ""}};
  for (const auto& [name, value] : object.items()) {
    const auto field = fields.find(name);
    if (field == fields.end() || !value.is_string()) {
      return fail(ErrorKind::kInvalid,
                  "found field '" + name + "'; expected the texts incident, verdict, name and by");
    }
    field->second = value.get<std::string>();
  }
  const auto verdict = parse_verdict(fields["verdict"]);
  if (!verdict) return Failure{verdict.error()};
  if (fields["incident"].empty())
    return fail(ErrorKind::kInvalid, "'incident' is missing or empty");
  return FeedbackRequest{fields["incident"], *verdict, fields["name"], fields["by"]};
}

Result<Feedback> feedback_of(const FeedbackRequest& request,
                             const std::filesystem::path& state_folder, EventTime now) {
  auto incident = IncidentLog{state_folder}.find(request.incident);
  if (!incident) return Failure{std::move(incident.error())};
  return Feedback{now,
                  std::move(incident->id),
                  std::move(incident->series),
                  incident->start,
                  incident->end,
                  request.verdict,
                  request.name.empty() ? kUnnamed : request.name};
}

Status give_feedback(const Feedback& feedback, const std::string& by,
                     const std::filesystem::path& state_folder, AuditLog& audit) {
  if (auto added = FeedbackStore{state_folder}.add(feedback); !added) return added;
  const json details{{"incident", feedback.incident},
                     {"series", feedback.series},
                     {"start", to_rfc3339(feedback.start)},
                     {"end", to_rfc3339(feedback.end)}};
  return audit.append({.event = "feedback",
                       .group = {},
                       .version = {},
                       .reason = class_of(feedback),
                       .by = by,
                       .details = details.dump(-1, ' ', false, json::error_handler_t::replace)});
}

RequestTopic::ObeyFn obey_feedback(std::filesystem::path state_folder, AuditLog& audit,
                                   Clock& clock) {
  return [folder = std::move(state_folder), &audit, &clock](
             std::string_view text, const std::stop_token&) -> Result<std::optional<Refusal>> {
    auto request = parse_feedback_request(text);
    if (!request) return Refusal{std::move(request.error().message), {}};
    const auto feedback = feedback_of(*request, folder, clock.wall());
    if (!feedback) return Refusal{feedback.error().message, request->by};
    const std::string by = request->by.empty() ? kTopic : request->by;
    if (auto given = give_feedback(*feedback, by, folder, audit); !given) {
      return Failure{std::move(given.error())};
    }
    return std::nullopt;
  };
}

std::string class_of(const Feedback& feedback) {
  const bool benign = feedback.verdict == Feedback::Verdict::kBenign;
  return std::string{benign ? kBenignClass : kFaultClass} + feedback.name;
}

std::vector<pipeline::Label> labels_of(const std::vector<Feedback>& feedback) {
  std::vector<pipeline::Label> labels;
  for (const Feedback& one : feedback) {
    labels.push_back({one.series, one.start, one.end, class_of(one)});
  }
  return labels;
}

}  // namespace anomalyd::runtime
