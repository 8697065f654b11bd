#include "daemon/runtime/audit_log.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/manual_clock.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::ManualClock;
using anomalyd::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::SizeIs;

class AuditLogTest : public ::testing::Test {
 protected:
  std::unique_ptr<AuditLog> open(AuditLog::Sink sink = {}) {
    auto log = AuditLog::open(path_, clock_, std::move(sink));
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }
  std::vector<std::string> lines() const {
    std::ifstream file{path_};
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  void write(const std::string& text) const {
    std::ofstream{path_, std::ios::binary | std::ios::app} << text;
  }
  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "audit.ndjson";
  ManualClock clock_;
};

TEST_F(AuditLogTest, WritesALinePerEventAndGivesItToTheSink) {
  std::vector<std::string> sunk;
  const auto log = open([&](const AuditEvent&, std::string_view line) { sunk.emplace_back(line); });
  ASSERT_TRUE(log->append({"promoted", "load", "0a1b", "better", "anna", R"({"previous":"ff"})"}));
  ASSERT_TRUE(log->append({"pinned", "load", "0a1b", "line\nbreak", "anna", "no JSON"}));
  EXPECT_EQ(lines(), sunk);
  ASSERT_THAT(sunk, SizeIs(2));
  EXPECT_EQ(json::parse(sunk[0]), (json{{"time", "2026-11-20T00:00:00.000Z"},
                                        {"event", "promoted"},
                                        {"group", "load"},
                                        {"version", "0a1b"},
                                        {"reason", "better"},
                                        {"by", "anna"},
                                        {"previous", "ff"}}));
  EXPECT_EQ(json::parse(sunk[1]).at("reason"), "line\nbreak");
}

TEST_F(AuditLogTest, GoesOnWhereItWas) {
  ASSERT_TRUE(open()->append({"added", "", "", "", "", ""}));
  ASSERT_TRUE(open()->append({"pinned", "", "", "", "", ""}));
  EXPECT_THAT(lines(), SizeIs(2));
}

TEST_F(AuditLogTest, CutsOffALineThatACrashToreAndSaysSo) {
  ASSERT_TRUE(open()->append({"added", "", "", "", "", ""}));
  const std::string whole = lines()[0];
  for (std::size_t size = 1; size < whole.size(); ++size) {
    std::filesystem::remove(path_);
    write(whole + "\n" + whole.substr(0, size));
    ASSERT_TRUE(open()->append({"pinned", "", "", "", "", ""}));
    const auto read = lines();
    ASSERT_THAT(read, SizeIs(3)) << size;
    EXPECT_EQ(read[0], whole);
    EXPECT_EQ(json::parse(read[1]).at("event"), "repaired");
    EXPECT_EQ(json::parse(read[1]).at("removed"), whole.substr(0, size));
    EXPECT_EQ(json::parse(read[2]).at("event"), "pinned");
  }
}

TEST_F(AuditLogTest, CompletesALineThatLacksOnlyItsEnd) {
  write("{\"event\":\"added\"}");
  ASSERT_TRUE(open()->append({"pinned", "", "", "", "", ""}));
  EXPECT_EQ(lines()[0], "{\"event\":\"added\"}");
  EXPECT_THAT(lines(), SizeIs(2));
}

TEST_F(AuditLogTest, SaysWhichFileItCannotOpen) {
  const auto log = AuditLog::open("/proc/anomalyd/audit.ndjson", clock_);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("/proc/anomalyd/audit.ndjson"), std::string::npos);
}

}  // namespace
}  // namespace anomalyd::runtime
