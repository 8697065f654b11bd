#include "daemon/runtime/systemd.hpp"

#include <systemd/sd-daemon.h>

namespace anomalyd::runtime::systemd {

void ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }

void status(const std::string& line) { sd_notify(0, ("STATUS=" + line).c_str()); }

void stopping() { sd_notify(0, "STOPPING=1\nSTATUS=draining"); }

void extend_timeout(std::chrono::microseconds time) {
  sd_notify(0, ("EXTEND_TIMEOUT_USEC=" + std::to_string(time.count())).c_str());
}

void watchdog() { sd_notify(0, "WATCHDOG=1"); }

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t interval = 0;
  if (sd_watchdog_enabled(0, &interval) <= 0) return std::nullopt;
  return std::chrono::microseconds{interval};
}

}  // namespace anomalyd::runtime::systemd
