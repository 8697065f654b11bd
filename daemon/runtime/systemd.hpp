#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace anomalyd::runtime {

/// Tells systemd how the daemon is; does nothing where systemd is not listening. Any thread.
namespace systemd {

void ready(const std::string& status);
void status(const std::string& line);
void stopping();
/// Asks for more time than the unit's timeout, while a drain is under way.
void extend_timeout(std::chrono::microseconds time);
/// The daemon is alive. Called only while its threads make progress.
void watchdog();
/// How often watchdog() must be called; nullopt when the unit has no watchdog.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace systemd
}  // namespace anomalyd::runtime
