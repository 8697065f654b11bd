#include "daemon/runtime/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <map>

#include "daemon/runtime/service_status.hpp"

namespace anomalyd::runtime {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::map<std::string, std::string>;

/// Families read off a status: values that somebody else already counts.
class Families {
 public:
  void counter(const char* name, const char* help, double value, const Labels& labels = {}) {
    add(name, help, MetricType::Counter, labels).counter.value = value;
  }
  void gauge(const char* name, const char* help, double value, const Labels& labels = {}) {
    add(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  std::vector<MetricFamily> take() && { return std::move(families_); }

 private:
  ClientMetric& add(const char* name, const char* help, MetricType type, const Labels& labels) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    ClientMetric metric;
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    families_.back().metric.push_back(std::move(metric));
    return families_.back().metric.back();
  }
  std::vector<MetricFamily> families_;
};

void add_input(Families& out, const ServiceStatus& status) {
  out.counter("anomalyd_records_consumed_total", "Records read from the input.",
              static_cast<double>(status.input.records));
  out.counter("anomalyd_samples_total", "Rows decoded from records.",
              static_cast<double>(status.input.samples));
  out.counter("anomalyd_input_bytes_total", "Bytes of record values read.",
              static_cast<double>(status.input.bytes));
  for (std::size_t i = 0; i < kNumRejectReasons; ++i) {
    out.counter("anomalyd_records_rejected_total", "Records that could not be used, by reason.",
                static_cast<double>(status.input.rejected[i]),
                {{"reason", std::string{to_string(static_cast<RejectReason>(i))}}});
  }
  for (const auto& [partition, lag] : status.input.lag) {
    out.gauge("anomalyd_consumer_lag_records", "Records between the position and the end.",
              static_cast<double>(lag),
              {{"topic", partition.topic}, {"partition", std::to_string(partition.partition)}});
  }
  out.counter("anomalyd_rebalances_total", "Times that partitions came or went.",
              static_cast<double>(status.input.rebalances));
  out.gauge("anomalyd_partitions_paused", "Partitions paused because their queue is full.",
            static_cast<double>(status.input.paused));
}

void add_judging(Families& out, const ServiceStatus& status) {
  const pipeline::PipelineCounters sums = status.counters();
  out.counter("anomalyd_samples_late_total", "Samples too late to take their place.",
              static_cast<double>(sums.late));
  out.counter("anomalyd_samples_duplicate_total", "Samples whose place was taken.",
              static_cast<double>(sums.duplicates));
  out.counter("anomalyd_samples_learned_total", "Samples read again that the model knows already.",
              static_cast<double>(sums.learned));
  out.counter("anomalyd_windows_judged_total", "Windows that got a verdict.",
              static_cast<double>(sums.windows_judged));
  out.counter("anomalyd_windows_not_judged_total", "Windows without a verdict, by reason.",
              static_cast<double>(sums.rows_filling), {{"reason", "filling"}});
  out.counter("anomalyd_windows_not_judged_total", "", static_cast<double>(sums.rows_missing),
              {{"reason", "missing"}});
  out.counter("anomalyd_anomalous_rows_total", "Rows judged rare and large.",
              static_cast<double>(sums.anomalous_rows));
  out.counter("anomalyd_benign_rows_total",
              "Rows that would have alerted but are known as harmless.",
              static_cast<double>(sums.benign_rows));
  out.counter("anomalyd_incidents_opened_total", "Incidents opened.",
              static_cast<double>(sums.incidents_opened));
  out.counter("anomalyd_data_faults_total", "Data faults opened.",
              static_cast<double>(sums.data_faults));
  out.counter("anomalyd_series_evicted_total", "Series forgotten after a long silence.",
              static_cast<double>(sums.series_evicted));
  const pipeline::Readiness series = status.readiness();
  out.counter("anomalyd_alerts_suppressed_total", "Alerts held back to keep the budget.",
              static_cast<double>(series.suppressed));
  const std::pair<const char*, std::size_t> states[] = {{"warming", series.warming},
                                                        {"waiting_for_model", series.waiting},
                                                        {"provisional", series.provisional},
                                                        {"ready", series.ready}};
  for (const auto& [state, count] : states) {
    out.gauge("anomalyd_series", "Series, by readiness.", static_cast<double>(count),
              {{"state", state}});
  }
  out.gauge("anomalyd_queued_windows", "Windows waiting for the device.",
            static_cast<double>(status.queued_windows));
}

void add_retraining(Families& out, const Retrainer::Progress& now) {
  using Phase = Retrainer::Phase;
  for (const Phase phase :
       {Phase::kIdle, Phase::kTraining, Phase::kGate, Phase::kShadow, Phase::kSwap}) {
    out.gauge("anomalyd_retraining_phase", "1 for the step that retraining is at.",
              now.phase == phase ? 1 : 0, {{"phase", std::string{to_string(phase)}}});
  }
  out.gauge("anomalyd_retraining_progress_ratio", "Share of the step that is done.", now.share);
  out.counter("anomalyd_retraining_runs_total", "Challengers whose training began.",
              static_cast<double>(now.runs));
  const std::pair<const char*, std::uint64_t> outcomes[] = {{"promoted", now.promoted},
                                                            {"refused", now.refused},
                                                            {"postponed", now.postponed},
                                                            {"failed", now.failed}};
  for (const auto& [outcome, count] : outcomes) {
    out.counter("anomalyd_retraining_outcomes_total", "Challengers, by what became of them.",
                static_cast<double>(count), {{"outcome", outcome}});
  }
}

void add_models(Families& out, const ServiceStatus& status) {
  for (const ModelInfo& model : status.models) {
    out.gauge("anomalyd_model_info", "Models in service.", 1,
              {{"kind", model.kind}, {"version", model.version}, {"device", model.device}});
  }
  out.gauge("anomalyd_training_running", "1 while a model is being trained.",
            status.training.training ? 1 : 0);
  out.counter("anomalyd_training_runs_total", "Training runs begun.",
              static_cast<double>(status.training.runs));
  out.counter("anomalyd_training_failures_total", "Training runs that failed.",
              static_cast<double>(status.training.failures));
  out.gauge("anomalyd_degraded", "1 while models are away from their device.",
            status.device_trouble.empty() ? 0 : 1);
  out.gauge("anomalyd_brokers_reachable", "1 while the brokers answer.",
            status.broker_trouble.empty() ? 1 : 0);
  out.gauge("anomalyd_uptime_seconds", "Seconds since the start.", status.uptime_seconds);
}

void add_self_test(Families& out, const ServiceStatus& status) {
  const auto& test = status.self_test;
  out.counter("anomalyd_self_test_samples_total",
              "Samples of live rows in which faults have been tried.",
              static_cast<double>(test.samples));
  out.counter("anomalyd_self_test_failures_total", "Those in which that failed.",
              static_cast<double>(test.failures));
  out.counter("anomalyd_self_test_seconds_total", "Time that it took.", test.seconds);
  using Figures = pipeline::SelfTestRecord::Figures;
  const auto add = [&](const char* name, const char* help, double Figures::*value) {
    for (const Figures& of : test.figures) {
      if (std::isnan(of.*value)) continue;
      out.gauge(name, help, of.*value,
                {{"group", ModelRegistry::id_of(of.group)},
                 {"version", of.version},
                 {"fault", std::string{to_string(of.type)}}});
    }
  };
  add("anomalyd_self_test_recall", "Share of injected faults that was found, of about a day.",
      &Figures::recall);
  add("anomalyd_self_test_recall_low", "Lower end of its 95 % interval.", &Figures::low);
  add("anomalyd_self_test_delay_rows", "Mean rows from a fault to its alert, of those found.",
      &Figures::delay_rows);
  add("anomalyd_self_test_trials", "Injected faults, of about a day.", &Figures::trials);
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Histogram& batch_windows =
      prometheus::BuildHistogram()
          .Name("anomalyd_batch_windows")
          .Help("Windows scored at once.")
          .Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{1, 4, 16, 64, 256, 1024, 4096, 16384});
  prometheus::Histogram& inference_seconds =
      prometheus::BuildHistogram()
          .Name("anomalyd_inference_seconds")
          .Help("Time on the device for one batch.")
          .Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{1e-4, 5e-4, 1e-3, 5e-3, .01, .05, .1, .5,
                                                           1});
  prometheus::Histogram& end_to_end_seconds =
      prometheus::BuildHistogram()
          .Name("anomalyd_end_to_end_seconds")
          .Help("From a sample's arrival to the acknowledgement of the alert it caused.")
          .Register(registry)
          .Add({},
               prometheus::Histogram::BucketBoundaries{.005, .01, .025, .05, .1, .25, .5, 1, 5});
  prometheus::Family<prometheus::Counter>& alerts =
      prometheus::BuildCounter()
          .Name("anomalyd_alerts_total")
          .Help("Alert messages acknowledged, by severity and type.")
          .Register(registry);
  prometheus::Counter& errors = prometheus::BuildCounter()
                                    .Name("anomalyd_errors_total")
                                    .Help("Failures of scoring, training, publishing or snapshots.")
                                    .Register(registry)
                                    .Add({});
};

Metrics::Metrics() : impl_{std::make_unique<Impl>()} {}
Metrics::~Metrics() = default;

void Metrics::on_batch(std::size_t windows, double seconds) {
  impl_->batch_windows.Observe(static_cast<double>(windows));
  impl_->inference_seconds.Observe(seconds);
}

void Metrics::on_alert(const std::string& severity, const std::string& type, double seconds) {
  impl_->alerts.Add({{"severity", severity}, {"type", type}}).Increment();
  impl_->end_to_end_seconds.Observe(seconds);
}

void Metrics::on_error() { impl_->errors.Increment(); }

std::string Metrics::render(const ServiceStatus& status) const {
  Families families;
  add_input(families, status);
  add_judging(families, status);
  add_models(families, status);
  add_retraining(families, status.retraining);
  add_self_test(families, status);
  std::vector<MetricFamily> all = std::move(families).take();
  for (MetricFamily& family : impl_->registry.Collect()) all.push_back(std::move(family));
  return prometheus::TextSerializer{}.Serialize(all);
}

}  // namespace anomalyd::runtime
