#include "tools/host_metrics.hpp"

#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <unordered_map>

namespace anomalyd::tools {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// "MemTotal: 16384 kB" and its like, by name.
std::unordered_map<std::string, double> read_named_values(const std::filesystem::path& path) {
  std::unordered_map<std::string, double> values;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) values[line.substr(0, colon)] = std::atof(&line[colon + 1]);
  }
  return values;
}

double used_percent(double total, double free) {
  return total > 0 ? 100 * (total - free) / total : kMissing;
}

double load_average(const std::filesystem::path& path) {
  std::ifstream file{path};
  double load = kMissing;
  return file >> load ? load : kMissing;
}

/// Whether a line of diskstats counts: partitions are part of their disk, loops and RAM are none.
bool is_whole_disk(const std::string& name, const std::string& previous_disk) {
  for (const char* virtual_disk : {"loop", "ram", "zram", "dm-", "md", "sr"}) {
    if (name.starts_with(virtual_disk)) return false;
  }
  return previous_disk.empty() || !name.starts_with(previous_disk);
}

}  // namespace

const std::vector<Channel>& HostMetrics::channels() {
  static const std::vector<Channel> kChannels = {
      {"cpu_user", "%"},       {"cpu_system", "%"},         {"cpu_iowait", "%"},
      {"load1", ""},           {"context_switches", "1/s"}, {"memory_used", "%"},
      {"swap_used", "%"},      {"disk_read", "B/s"},        {"disk_written", "B/s"},
      {"net_received", "B/s"}, {"net_sent", "B/s"}};
  return kChannels;
}

std::string HostMetrics::host_name() const {
  std::ifstream file{proc_ / "sys/kernel/hostname"};
  std::string name;
  return file >> name ? name : "localhost";
}

std::vector<double> HostMetrics::sample(EventTime now) {
  const Counters counters = read_counters();
  const double seconds = std::chrono::duration<double>(now - last_time_).count();
  const auto rate = [&](double Counters::*counter) {
    return last_ ? (counters.*counter - *last_.*counter) / seconds : kMissing;
  };
  const auto cpu_percent = [&](std::initializer_list<std::size_t> states) {
    if (!last_) return kMissing;
    const double all = std::accumulate(counters.cpu.begin(), counters.cpu.end(), 0.0) -
                       std::accumulate(last_->cpu.begin(), last_->cpu.end(), 0.0);
    double spent = 0;
    for (const std::size_t i : states) spent += counters.cpu[i] - last_->cpu[i];
    return all > 0 ? 100 * spent / all : kMissing;
  };
  auto memory = read_named_values(proc_ / "meminfo");

  std::vector<double> row = {cpu_percent({0, 1}),
                             cpu_percent({2, 5, 6}),
                             cpu_percent({4}),
                             load_average(proc_ / "loadavg"),
                             rate(&Counters::switches),
                             used_percent(memory["MemTotal"], memory["MemAvailable"]),
                             used_percent(memory["SwapTotal"], memory["SwapFree"]),
                             rate(&Counters::disk_read),
                             rate(&Counters::disk_written),
                             rate(&Counters::net_received),
                             rate(&Counters::net_sent)};
  last_ = counters;
  last_time_ = now;
  return row;
}

HostMetrics::Counters HostMetrics::read_counters() const {
  Counters counters;
  std::string line;
  std::string name;
  std::ifstream stat{proc_ / "stat"};
  while (std::getline(stat, line)) {
    std::istringstream words{line};
    words >> name;
    if (name == "ctxt") words >> counters.switches;
    if (name != "cpu") continue;
    for (double& ticks : counters.cpu) words >> ticks;
  }

  std::ifstream disks{proc_ / "diskstats"};
  std::string disk;
  while (std::getline(disks,
                      line)) {  // major minor name reads merged sectors ms writes merged sectors
    std::istringstream words{line};
    double skipped = 0;
    double read = 0;
    double written = 0;
    words >> skipped >> skipped >> name >> skipped >> skipped >> read >> skipped >> skipped >>
        skipped >> written;
    if (!words || !is_whole_disk(name, disk)) continue;
    disk = name;
    constexpr double kSector = 512;
    counters.disk_read += read * kSector;
    counters.disk_written += written * kSector;
  }

  std::ifstream net{proc_ / "net/dev"};
  while (std::getline(
      net, line)) {  // name: bytes packets errs drop fifo frame compressed multicast bytes
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.substr(0, colon).ends_with(" lo")) continue;
    std::istringstream words{line.substr(colon + 1)};
    double received = 0;
    double skipped = 0;
    double sent = 0;
    words >> received;
    for (int i = 0; i < 7; ++i) words >> skipped;
    words >> sent;
    counters.net_received += received;
    counters.net_sent += sent;
  }
  return counters;
}

}  // namespace anomalyd::tools
