#include "tools/model_table.hpp"

#include <gmock/gmock.h>

#include "tools/model_place.hpp"

namespace anomalyd::tools {
namespace {

using runtime::Champion;
using runtime::Manifest;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Group = runtime::ModelRegistry::Group;

const EventTime kTime{seconds{1'700'000'000}};

Manifest manifest(const std::string& version, const std::string& parent) {
  Manifest m;
  m.version = version;
  m.group = "load,heat";
  m.channels = {{"load", "%"}, {"heat", ""}};
  m.kind = "ensemble";
  m.parent = parent;
  m.created = kTime;
  m.code_version = "0.1.0";
  m.seed = 1;
  m.configuration = R"({"model.kind":"auto","training.rows":2000})";
  m.num_series = 4;
  m.data = {{{"metrics", 3}, 10, 250, kTime, kTime + seconds{3600}, 240}};
  m.reason = "cold start";
  m.sha256 = std::string(64, 'a');
  m.bytes = 1234;
  return m;
}

Group group() {
  Group g{"12ab34cd56ef7890", "load,heat", {{"load", "%"}, {"heat", ""}}, std::nullopt, {}};
  g.versions = {manifest("0a1b2c3d4e5f", ""), manifest("ffeeddccbbaa", "0a1b2c3d4e5f")};
  g.versions[1].created = kTime + seconds{86'400};
  g.versions[1].reason = "drift";
  g.versions[1].gate = R"({"outcome":"refused","reason":"more false alarms"})";
  g.versions[1].configuration = R"({"model.kind":"vae","training.rows":2000})";
  g.versions[1].excluded_rows = {{"incident", 60}};
  g.versions[0].pinned = true;
  g.champion = Champion{"ffeeddccbbaa",          "0a1b2c3d4e5f", {{{"metrics", 3}, 251}},
                        kTime + seconds{90'000}, "anna",         "better recall"};
  return g;
}

TEST(VersionTable, ShowsTheNewestFirstAndMarksTheChampion) {
  EXPECT_EQ(version_table({group()}),
            "group 12ab34cd56ef7890: load (%), heat\n"
            "  version        kind         created (UTC)             rows  gate    reason         "
            "parent       notes\n"
            "* ffeeddccbbaa   ensemble     2023-11-15 22:13:20        240  refused drift          "
            "0a1b2c3d4e5f champion since 2023-11-15 23:13:20\n"
            "  0a1b2c3d4e5f   ensemble     2023-11-14 22:13:20        240  -       cold start     "
            "-            previous, pinned\n");
}

TEST(VersionTable, SaysWhatIsMissing) {
  EXPECT_EQ(version_table({}), "no models\n");
  Group without = group();
  without.champion.reset();
  EXPECT_THAT(version_table({without}), AllOf(HasSubstr("no champion"), Not(HasSubstr("*"))));
}

TEST(VersionDetails, TellWhereItCameFromAndHowItWasJudged) {
  const Group g = group();
  const std::string text = version_details(g, g.versions[1]);
  for (const char* line :
       {"version ffeeddccbbaa\n", "promoted       by anna: better recall\n",
        "judges from    metrics[3] offset 251\n", "parent         0a1b2c3d4e5f\n",
        "created        2023-11-15 22:13:20 by anomalyd 0.1.0: drift\n",
        "trained on     240 rows of 4 series\n",
        "data           metrics[3] offsets 10..250, 2023-11-14 22:13:20 .. 2023-11-14 23:13:20,",
        " 240 rows\n", "left out       60 rows: incident\n", "gate           outcome: refused\n",
        "               reason: more false alarms\n", "configuration  model.kind: vae\n",
        "checkpoint     1234 bytes, sha256 aaaa"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(VersionDifference, NamesEveryFieldThatDiffers) {
  const Group g = group();
  const std::string text = version_difference(g.versions[0], g.versions[1]);
  EXPECT_THAT(text, HasSubstr("0a1b2c3d4e5f"));
  EXPECT_THAT(text, ::testing::ContainsRegex("configuration/model.kind +auto +vae\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("reason +cold start +drift\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("gate/outcome +- +refused\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("exclusions/rows/incident +- +60\n"));
  EXPECT_THAT(text, Not(HasSubstr("training.rows")));
  EXPECT_EQ(version_difference(g.versions[0], g.versions[0]),
            "the two versions differ in nothing but their name\n");
}

TEST(FindGroup, TakesTheOneThatIsMeant) {
  Group other = group();
  other.id = "99ab34cd56ef7890";
  other.key = "speed";
  other.versions.pop_back();
  other.versions[0].version = "abcdefabcdef";
  const std::vector<Group> groups{group(), other};
  EXPECT_EQ(find_group(groups, "speed", "").value().id, other.id);
  EXPECT_EQ(find_group(groups, "12ab", "").value().key, "load,heat");
  EXPECT_EQ(find_group(groups, "", "abc").value().key, "speed") << "the version tells";
  EXPECT_EQ(find_group({other}, "", "").value().key, "speed") << "there is one only";
  EXPECT_THAT(find_group(groups, "", "").error().message, HasSubstr("ambiguous"));
  EXPECT_THAT(find_group(groups, "77", "").error().message,
              HasSubstr("group '77' is unknown; expected --group with one of: 12ab34cd56ef7890 "
                        "(load,heat), 99ab34cd56ef7890 (speed)"));
}

}  // namespace
}  // namespace anomalyd::tools
