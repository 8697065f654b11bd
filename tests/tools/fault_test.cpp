#include "tools/fault.hpp"

#include <gmock/gmock.h>

#include "tests/tools/temp_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TempFolder;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(Faults, AreReadAsTheyWereWritten) {
  TempFolder folder;
  const std::vector<Fault> faults = {
      {"spike",
       "machine-01",
       {"cpu"},
       EventTime{seconds{1700000000}},
       EventTime{seconds{1700000120}}},
      {"labelled", "smd/\"x\"", {}, EventTime{seconds{1}}, EventTime{seconds{2}}}};
  ASSERT_TRUE(write_faults(folder.path() / "truth.jsonl", faults));
  EXPECT_EQ(read_faults(folder.path() / "truth.jsonl").value(), faults);
}

TEST(Faults, NameFileAndLineOfWhatIsNoFault) {
  TempFolder folder;
  const auto path = folder.write(
      "truth.jsonl", R"({"kind":"a","series":"s","channels":[],"start":"soon","end":"later"})");
  const auto faults = read_faults(path);
  ASSERT_FALSE(faults);
  EXPECT_THAT(faults.error().message, HasSubstr("truth.jsonl:1: 'soon' is not a time"));
  EXPECT_THAT(read_faults(folder.path() / "none").error().message, HasSubstr("no such file"));
}

}  // namespace
}  // namespace anomalyd::tools
