#include "tools/host_metrics.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::IsNan;

double value_of(const std::vector<double>& row, const std::string& channel) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (HostMetrics::channels()[i].name == channel) return row[i];
  }
  ADD_FAILURE() << "no channel " << channel;
  return 0;
}

void write_proc(const TemporaryFolder& proc, int user, int idle, int switches, int sectors,
                int bytes) {
  proc.write("stat", "cpu  " + std::to_string(user) + " 0 10 " + std::to_string(idle) +
                         " 5 0 0 0 0 0\ncpu0 1 2 3 4\nctxt " + std::to_string(switches) + "\n");
  proc.write("meminfo",
             "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
  proc.write("loadavg", "0.75 0.5 0.25 1/100 123\n");
  const std::string s = std::to_string(sectors);
  proc.write("diskstats", "   7 0 loop0 1 0 99 0 1 0 99 0\n   8 0 sda 5 0 " + s + " 1 5 0 " + s +
                              " 1 0 0 0\n   8 1 sda1 5 0 " + s + " 1 5 0 " + s + " 1 0 0 0\n");
  const std::string b = std::to_string(bytes);
  proc.write("net/dev", "Inter-|   Receive\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: " +
                            b + " 1 0 0 0 0 0 0 " + b + " 1 0 0\n");
  proc.write("sys/kernel/hostname", "box\n");
}

TEST(HostMetrics, TurnsKernelCountersIntoRates) {
  TemporaryFolder proc;
  HostMetrics host{proc.path()};
  write_proc(proc, 100, 1000, 5000, 200, 4000);
  const auto first = host.sample(EventTime{seconds{100}});
  EXPECT_TRUE(std::isnan(value_of(first, "cpu_user")));
  EXPECT_TRUE(std::isnan(value_of(first, "net_received")));
  EXPECT_EQ(value_of(first, "memory_used"), 75);
  EXPECT_EQ(value_of(first, "load1"), 0.75);

  write_proc(proc, 150, 1150, 5200, 240, 6000);
  const auto second = host.sample(EventTime{seconds{102}});
  EXPECT_EQ(value_of(second, "cpu_user"), 25);
  EXPECT_EQ(value_of(second, "cpu_iowait"), 0);
  EXPECT_EQ(value_of(second, "context_switches"), 100);
  EXPECT_EQ(value_of(second, "disk_read"), 40 * 512 / 2) << "sda once; neither sda1 nor loop0";
  EXPECT_EQ(value_of(second, "net_sent"), 1000) << "eth0, not lo";
  EXPECT_TRUE(std::isnan(value_of(second, "swap_used"))) << "there is no swap";
}

TEST(HostMetrics, LeavesColumnsMissingWhereProcHasNoFile) {
  TemporaryFolder proc;
  HostMetrics host{proc.path()};
  EXPECT_THAT(host.sample(EventTime{seconds{1}}), Each(IsNan()));
  EXPECT_EQ(host.host_name(), "localhost");
}

TEST(HostMetrics, NamesTheHost) {
  TemporaryFolder proc;
  write_proc(proc, 1, 1, 1, 1, 1);
  EXPECT_EQ(HostMetrics{proc.path()}.host_name(), "box");
}

}  // namespace
}  // namespace anomalyd::tools
