#include "daemon/pipeline/incident_policy.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "daemon/pipeline/alert_message.hpp"

namespace anomalyd::pipeline {

std::optional<Alert> IncidentPolicy::observe(std::string_view series, const Row& row,
                                             const Evidence& evidence, const Options& options) {
  note_condition(row, options);
  if (is_open()) return follow(series, row, evidence, options);

  const std::int32_t rows_since = incident_ ? ++incident_->rows_since_message : 0;
  if (is_confirmed(options)) {
    if (!incident_ || rows_since > options.cool_down_rows || rows_since <= options.merge_rows) {
      if (rows_since > options.merge_rows) incident_.reset();
      return open(series, row, evidence, options);
    }
  }
  if (rows_since > std::max(options.merge_rows, options.cool_down_rows)) incident_.reset();
  return std::nullopt;
}

void IncidentPolicy::note_condition(const Row& row, const Options& options) {
  const std::uint64_t window = ~std::uint64_t{0} >> (64 - options.confirm_rows);
  recent_conditions_ = (recent_conditions_ << 1U) & window;
  recent_alerts_ = (recent_alerts_ << 1U) & window;
  if (!row.verdict.condition) return;
  if (recent_conditions_ == 0) first_condition_ = {row.time, row.offset};
  recent_conditions_ |= 1U;
  if (row.verdict.alert) recent_alerts_ |= 1U;
}

bool IncidentPolicy::is_confirmed(const Options& options) const {
  return recent_alerts_ != 0 && std::popcount(recent_conditions_) >= options.confirm;
}

std::optional<Alert> IncidentPolicy::open(std::string_view series, const Row& row,
                                          const Evidence& evidence, const Options& options) {
  if (!incident_) incident_ = Incident{.start = first_condition_};
  incident_->resolved = false;
  incident_->quiet_rows = 0;
  incident_->unjudged_rows = 0;
  absorb(row, evidence, options);
  return message(series, AlertState::kOpen, row.time, row.offset);
}

std::optional<Alert> IncidentPolicy::follow(std::string_view series, const Row& row,
                                            const Evidence& evidence, const Options& options) {
  ++incident_->rows_since_message;
  incident_->unjudged_rows = 0;
  if (!row.verdict.lasting) {
    if (++incident_->quiet_rows < options.resolve_rows) return std::nullopt;
    return close(series, row.time, row.offset);
  }
  incident_->quiet_rows = 0;
  absorb(row, evidence, options);
  const bool worse = severity_name(incident_->severity) > severity_name(incident_->told_severity);
  if (!worse && incident_->rows_since_message < options.update_rows) return std::nullopt;
  return message(series, AlertState::kUpdate, row.time, row.offset);
}

void IncidentPolicy::absorb(const Row& row, const Evidence& evidence, const Options& options) {
  Incident& incident = *incident_;
  const Verdict& verdict = row.verdict;
  incident.end = row.time;
  ++incident.rows;
  incident.severity =
      std::max(incident.severity, severity_of(verdict.p_value, verdict.magnitude, incident.rows));

  if (!row.window_class.empty() && verdict.score > incident.class_score) {
    incident.window_class = row.window_class;
    incident.class_score = verdict.score;
  }

  auto& steps = incident.worst_steps;
  const bool is_worst = verdict.score > incident.score;
  const bool is_shown =
      steps.size() < options.worst_steps || (!steps.empty() && verdict.score > steps.back().score);
  if (!is_worst && !is_shown) return;

  std::vector<Alert::Feature> features = evidence();
  std::ranges::sort(features, std::greater{}, &Alert::Feature::share);
  if (is_shown) {
    const auto place = std::ranges::find_if(
        steps, [&](const Alert::Step& step) { return verdict.score > step.score; });
    steps.insert(place, {row.time, verdict.score, features.empty() ? "" : features.front().name});
    if (steps.size() > options.worst_steps) steps.pop_back();
  }
  if (!is_worst) return;
  incident.score = verdict.score;
  incident.threshold = verdict.threshold;
  incident.p_value = verdict.p_value;
  incident.rule = verdict.rule;
  if (features.size() > options.features) features.resize(options.features);
  incident.features = std::move(features);
}

std::optional<Alert> IncidentPolicy::skip(std::string_view series, EventTime time, Offset offset,
                                          const Options& options) {
  if (!is_open()) return std::nullopt;
  ++incident_->rows_since_message;
  if (++incident_->unjudged_rows < options.abandon_rows) return std::nullopt;
  return close(series, time, offset);
}

std::optional<Alert> IncidentPolicy::close(std::string_view series, EventTime time, Offset offset) {
  if (!is_open()) return std::nullopt;
  incident_->resolved = true;
  recent_conditions_ = 0;  // its rows do not confirm the next one
  recent_alerts_ = 0;
  return message(series, AlertState::kResolve, time, offset);
}

Alert IncidentPolicy::message(std::string_view series, AlertState state, EventTime time,
                              Offset offset) {
  Incident& incident = *incident_;
  incident.rows_since_message = 0;
  incident.told_severity = incident.severity;
  Alert alert;
  alert.id = incident_id(series, AlertType::kAnomaly, incident.start.time);
  alert.type = AlertType::kAnomaly;
  alert.state = state;
  alert.series = series;
  alert.start = incident.start.time;
  alert.time = time;
  if (state == AlertState::kResolve) alert.end = incident.end;
  alert.severity = incident.severity;
  alert.score = incident.score;
  alert.threshold = incident.threshold;
  alert.p_value = incident.p_value;
  alert.rule = to_string(incident.rule);
  alert.window_class = incident.window_class;
  alert.provisional = incident.rule == ThresholdRule::kWarmUp;
  alert.features = incident.features;
  alert.worst_steps = incident.worst_steps;
  alert.first_offset = incident.start.offset;
  alert.last_offset = offset;
  alert.summary = summary_of(alert);
  return alert;
}

void IncidentPolicy::save(StateWriter& out) const {
  out.put(recent_conditions_);
  out.put(recent_alerts_);
  out.put(first_condition_);
  out.put(incident_.has_value());
  if (!incident_) return;
  const Incident& incident = *incident_;
  out.put(incident.start);
  out.put(incident.end);
  out.put(incident.resolved);
  for (const std::int32_t count :
       {incident.rows, incident.quiet_rows, incident.unjudged_rows, incident.rows_since_message,
        incident.severity, incident.told_severity}) {
    out.put(count);
  }
  out.put(incident.score);
  out.put(incident.threshold);
  out.put(incident.p_value);
  out.put(incident.rule);
  out.put_text(incident.window_class);
  out.put(incident.class_score);
  out.put(static_cast<std::uint32_t>(incident.features.size()));
  for (const Alert::Feature& feature : incident.features) {
    out.put_text(feature.name);
    out.put_text(feature.unit);
    out.put(feature.observed);
    out.put(feature.expected);
    out.put(feature.share);
  }
  out.put(static_cast<std::uint32_t>(incident.worst_steps.size()));
  for (const Alert::Step& step : incident.worst_steps) {
    out.put(step.time);
    out.put(step.score);
    out.put_text(step.feature);
  }
}

bool IncidentPolicy::load(StateReader& in) {
  std::uint8_t has_incident = 0;
  if (!in.get(recent_conditions_) || !in.get(recent_alerts_) || !in.get(first_condition_) ||
      !in.get(has_incident)) {
    return false;
  }
  incident_.reset();
  if (has_incident == 0) return true;
  Incident& incident = incident_.emplace(Incident{});
  std::uint8_t resolved = 0;
  std::uint8_t rule = 0;
  if (!in.get(incident.start) || !in.get(incident.end) || !in.get(resolved)) return false;
  for (auto* count : {&incident.rows, &incident.quiet_rows, &incident.unjudged_rows,
                      &incident.rows_since_message, &incident.severity, &incident.told_severity}) {
    if (!in.get(*count)) return false;
  }
  if (!in.get(incident.score) || !in.get(incident.threshold) || !in.get(incident.p_value) ||
      !in.get(rule) || rule > static_cast<std::uint8_t>(ThresholdRule::kMad) ||
      !in.get_text(incident.window_class) || !in.get(incident.class_score)) {
    return false;
  }
  incident.resolved = resolved != 0;
  incident.rule = static_cast<ThresholdRule>(rule);
  std::uint32_t count = 0;
  if (!in.get(count)) return false;
  while (count-- > 0) {
    Alert::Feature& feature = incident.features.emplace_back();
    if (!in.get_text(feature.name) || !in.get_text(feature.unit) || !in.get(feature.observed) ||
        !in.get(feature.expected) || !in.get(feature.share)) {
      return false;
    }
  }
  if (!in.get(count)) return false;
  while (count-- > 0) {
    Alert::Step& step = incident.worst_steps.emplace_back();
    if (!in.get(step.time) || !in.get(step.score) || !in.get_text(step.feature)) return false;
  }
  return true;
}

}  // namespace anomalyd::pipeline
