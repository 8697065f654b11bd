#pragma once

#include <memory>
#include <string>

namespace anomalyd::runtime {

struct ServiceStatus;

/// The daemon's metrics in Prometheus text. No series id is ever a label.
///
/// Most are read off the gathered status; only what has a distribution is recorded here. Any
/// thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  void on_batch(std::size_t windows, double seconds);
  void on_alert(const std::string& severity, const std::string& type, double seconds);
  void on_error();
  [[nodiscard]] std::string render(const ServiceStatus& status) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anomalyd::runtime
