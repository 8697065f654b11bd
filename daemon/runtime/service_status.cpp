#include "daemon/runtime/service_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

namespace anomalyd::runtime {
namespace {

using nlohmann::json;

json to_json(const pipeline::Readiness& readiness) {
  return {{"warming", readiness.warming},
          {"warming_share", readiness.warming_share},
          {"waiting_for_model", readiness.waiting},
          {"provisional", readiness.provisional},
          {"ready", readiness.ready}};
}

json to_json(const PartitionTask::Status& partition) {
  return {
      {"topic", partition.partition.topic},       {"partition", partition.partition.partition},
      {"series", partition.num_series},           {"finished_offset", partition.finished},
      {"queued_bytes", partition.queued_bytes},   {"event_time", to_rfc3339(partition.watermark)},
      {"readiness", to_json(partition.readiness)}};
}

json to_json(const ModelInfo& model) {
  json channels = json::array();
  for (const Channel& channel : model.channels) channels.push_back(channel.name);
  return {{"kind", model.kind},       {"version", model.version},
          {"members", model.members}, {"choice", model.choice},
          {"channels", channels},     {"context", model.context},
          {"device", model.device},   {"own_weights", model.slots.size()}};
}

json to_json(const SelfTester::Progress& test) {
  json figures = json::array();
  for (const auto& of : test.figures) {
    figures.push_back({{"group", of.group},
                       {"version", of.version},
                       {"fault", to_string(of.type)},
                       {"trials", of.trials},
                       {"recall", of.recall},
                       {"recall_low", of.low},
                       {"recall_high", of.high},
                       {"delay_rows", of.delay_rows}});  // null if none was found
  }
  return {{"enabled", test.enabled},   {"samples", test.samples},
          {"failures", test.failures}, {"last_failure", test.last_failure},
          {"seconds", test.seconds},   {"figures", std::move(figures)}};
}

}  // namespace

std::string_view to_string(ServiceStatus::Phase phase) {
  switch (phase) {
    case ServiceStatus::Phase::kStarting: return "STARTING";
    case ServiceStatus::Phase::kWarming: return "WARMING";
    case ServiceStatus::Phase::kTraining: return "TRAINING";
    case ServiceStatus::Phase::kReady: return "READY";
    case ServiceStatus::Phase::kDraining: return "DRAINING";
  }
  return "UNKNOWN";
}

pipeline::PipelineCounters ServiceStatus::counters() const {
  pipeline::PipelineCounters sum;
  for (const auto& partition : partitions) sum += partition.counters;
  return sum;
}

pipeline::Readiness ServiceStatus::readiness() const {
  pipeline::Readiness sum;
  double progress = 0;
  for (const auto& partition : partitions) {
    const pipeline::Readiness& one = partition.readiness;
    sum.warming += one.warming;
    sum.waiting += one.waiting;
    sum.provisional += one.provisional;
    sum.ready += one.ready;
    sum.suppressed += one.suppressed;
    progress += one.warming_share * static_cast<double>(one.warming);
  }
  if (sum.warming > 0) sum.warming_share = progress / static_cast<double>(sum.warming);
  return sum;
}

std::size_t ServiceStatus::num_series() const {
  std::size_t sum = 0;
  for (const auto& partition : partitions) sum += partition.num_series;
  return sum;
}

std::int64_t ServiceStatus::lag() const {
  std::int64_t sum = 0;
  for (const auto& [partition, lag] : input.lag) sum += lag;
  return sum;
}

double ServiceStatus::incidents_per_series_week() const {
  const pipeline::PipelineCounters sums = counters();
  constexpr double kWeek = 7 * 86'400;
  return sums.judged_seconds > 0
             ? static_cast<double>(sums.incidents_opened) * kWeek / sums.judged_seconds
             : 0;
}

bool ServiceStatus::idle() const {
  return input.at_end && queued_windows == 0 &&
         std::ranges::all_of(partitions, [](const auto& p) { return p.queued_bytes == 0; });
}

double ServiceStatus::busy_seconds() const {
  MonotonicTime last = input.first_record;
  for (const auto& partition : partitions) last = std::max(last, partition.finished_at);
  return std::chrono::duration<double>(last - input.first_record).count();
}

std::string ServiceStatus::line() const {
  const pipeline::Readiness series = readiness();
  std::string text = fmt::format("{}: {} series ready", to_string(phase), series.ready);
  if (series.provisional > 0) text += fmt::format(", {} provisional", series.provisional);
  if (series.warming > 0) {
    text += fmt::format(", {} warming {:.0f} %", series.warming, 100 * series.warming_share);
  }
  if (series.waiting > 0) text += fmt::format(", {} waiting for a model", series.waiting);
  if (training.training) {
    text += fmt::format("; training {} {:.0f} %", training.stage, 100 * training.share);
  }
  text += fmt::format("; lag {}; {:.0f} samples/s", lag(), samples_per_second);
  if (!broker_trouble.empty()) text += "; " + broker_trouble;
  if (!device_trouble.empty()) text += "; " + device_trouble;
  return text;
}

std::string ServiceStatus::json() const {
  const pipeline::PipelineCounters sums = counters();
  nlohmann::json rejected = nlohmann::json::object();
  for (std::size_t i = 0; i < kNumRejectReasons; ++i) {
    if (input.rejected[i] == 0) continue;
    rejected[std::string{to_string(static_cast<RejectReason>(i))}] = input.rejected[i];
  }
  nlohmann::json document{
      {"phase", to_string(phase)},
      {"line", line()},
      {"uptime_seconds", uptime_seconds},
      {"budget", budget},
      {"series", num_series()},
      {"readiness", to_json(readiness())},
      {"input",
       {{"records", input.records},
        {"samples", input.samples},
        {"bytes", input.bytes},
        {"samples_per_second", samples_per_second},
        {"lag", lag()},
        {"at_end", input.at_end},
        {"partitions_paused", input.paused},
        {"rejected", rejected},
        {"late", sums.late},
        {"duplicates", sums.duplicates},
        {"learned", sums.learned}}},
      {"judged",
       {{"windows", sums.windows_judged},
        {"anomalous_rows", sums.anomalous_rows},
        {"benign_rows", sums.benign_rows},
        {"not_judged_filling", sums.rows_filling},
        {"not_judged_missing", sums.rows_missing},
        {"incidents_opened", sums.incidents_opened},
        {"incidents_per_series_week", incidents_per_series_week()},
        {"alerts_suppressed", readiness().suppressed},
        {"data_faults", sums.data_faults},
        {"queued_windows", queued_windows}}},
      {"training",
       {{"running", training.training},
        {"group", training.group},
        {"stage", training.stage},
        {"share", training.share},
        {"runs", training.runs},
        {"failures", training.failures}}},
      {"retraining",
       {{"phase", to_string(retraining.phase)},
        {"group", retraining.group},
        {"trigger", retraining.trigger},
        {"version", retraining.version},
        {"stage", retraining.stage},
        {"share", retraining.share},
        {"outcome", retraining.outcome},
        {"reason", retraining.reason},
        {"sentence", retraining.sentence},
        {"gate", retraining.report ? gate_table(retraining.report->gate) : ""},
        {"report",
         retraining.report ? json::parse(to_json(*retraining.report)) : nlohmann::json(nullptr)},
        {"runs", retraining.runs},
        {"promoted", retraining.promoted},
        {"refused", retraining.refused},
        {"postponed", retraining.postponed},
        {"failed", retraining.failed}}},
      {"self_test", to_json(self_test)},
      {"trouble", {{"brokers", broker_trouble}, {"device", device_trouble}, {"last", last_error}}}};
  document["models"] = nlohmann::json::array();
  for (const ModelInfo& model : models) document["models"].push_back(to_json(model));
  document["partitions"] = nlohmann::json::array();
  for (const auto& partition : partitions) document["partitions"].push_back(to_json(partition));
  return document.dump(2);
}

}  // namespace anomalyd::runtime
