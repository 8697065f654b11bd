#include "daemon/runtime/model_manifest.hpp"

#include <gmock/gmock.h>

namespace anomalyd::runtime {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

const EventTime kTime{seconds{1'700'000'000}};

Manifest manifest() {
  Manifest m;
  m.version = "0a1b2c3d4e5f";
  m.group = "load,heat";
  m.channels = {{"load", "%"}, {"heat", ""}};
  m.kind = "ensemble";
  m.choice = "memory, because there are 4 series";
  m.parent = "ffeeddccbbaa";
  m.created = kTime + std::chrono::microseconds{120'500};
  m.code_version = "0.1.0";
  m.seed = 7;
  m.configuration = R"({"model.kind":"auto","training.rows":2000})";
  m.num_series = 4;
  m.data = {{{"metrics", 3}, 10, 250, kTime, kTime + seconds{3600}, 240}};
  m.exclusions = {{"m1", kTime, kTime + seconds{60}, "incident 4f1c"}};
  m.excluded_rows = {{"incident", 60}};
  m.calibration = R"({"series":4})";
  m.gate = R"({"outcome":"passed"})";
  m.reason = "drift";
  m.sha256 = std::string(64, 'a');
  m.bytes = 1234;
  m.pinned = true;
  return m;
}

TEST(Manifest, ComesBackAsItWasWritten) {
  const auto read = parse_manifest(to_json(manifest()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, manifest());
  EXPECT_EQ(read->num_rows(), 240u);
}

struct Damage {
  const char* field;
  const char* replacement;
  const char* sentence;
};

class HostileManifest : public ::testing::TestWithParam<Damage> {};

TEST_P(HostileManifest, IsRefusedWithASentence) {
  std::string text = to_json(manifest());
  const std::size_t begin = text.find(GetParam().field);
  ASSERT_NE(begin, text.npos);
  text.replace(begin, std::string_view{GetParam().field}.size(), GetParam().replacement);
  const auto read = parse_manifest(text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kIncompatible);
  EXPECT_THAT(read.error().message, HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Manifests, HostileManifest,
    ::testing::Values(
        Damage{R"("format": 1)", R"("format": 2)", "format: found 2; expected format 1"},
        Damage{R"("version": "0a1b2c3d4e5f")", R"("version": "../../x")",
               R"(version: found "../../x"; expected 1..64 letters)"},
        Damage{R"("version": "0a1b2c3d4e5f",)", "", "version is missing"},
        Damage{R"("first_offset": 10)", R"("first_offset": -1)",
               "data.ranges[0].first_offset: found -1; expected a count"},
        Damage{R"("rows": 240)", R"("rows": 1e300)", "data.ranges[0].rows: found 1e+300"},
        Damage{R"("partition": 3)", R"("partition": 99999999999)", "expected a partition"},
        Damage{R"("why": "incident 4f1c")", R"("why": [])",
               "exclusions.spans[0].why: found []; expected a text"},
        Damage{R"("incident": 60)", R"("incident": "60")",
               R"(exclusions.rows.incident: found "60"; expected a count)"},
        Damage{R"("created": "2023-)", R"("created": "2023+)", "created: found"},
        Damage{R"("sha256": "aaaa)", R"("sha256": "AAAA)", "expected 64 hex digits"},
        Damage{R"("pinned": true)", R"("pinned": 1)", "pinned: found 1; expected true or false"},
        Damage{"{", "[", "found no JSON document"}));

TEST(HostileManifest, DeepNestingIsDropped) {
  std::string text = to_json(manifest());
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const std::string field = R"("gate": {)";
  text.replace(text.find(field), field.size(), field + "\"deep\": " + deep + ",");
  EXPECT_TRUE(parse_manifest(text));
}

TEST(HostileManifest, IsNoObjectAtAll) {
  EXPECT_FALSE(parse_manifest(""));
  EXPECT_FALSE(parse_manifest("[]"));
  EXPECT_FALSE(parse_manifest("null"));
}

TEST(Champion, ComesBackAsItWasWritten) {
  const Champion champion{"new", "old", {{{"metrics", 1}, 77}}, kTime, "anna", "better recall"};
  const auto read = parse_champion(to_json(champion));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->version, "new");
  EXPECT_EQ(read->previous, "old");
  ASSERT_EQ(read->since.size(), 1u);
  EXPECT_EQ(read->since[0].partition, (PartitionId{"metrics", 1}));
  EXPECT_EQ(read->since[0].offset, 77);
  EXPECT_EQ(read->promoted_at, kTime);
  EXPECT_EQ(read->by, "anna");
  EXPECT_EQ(read->why, "better recall");
}

TEST(Rfc3339, IsReadAsItIsWritten) {
  for (const std::int64_t micros : {0L, 1'700'000'000'123'456L, 1'700'000'000'500'000L}) {
    const EventTime time{std::chrono::microseconds{micros}};
    EXPECT_EQ(parse_rfc3339(to_rfc3339(time)).value(), time);
  }
  for (const char* text :
       {"", "2026-11-20", "2026-13-20T00:00:00Z", "2026-11-20T00:00:00", "2026-11-20T00:00:00.Z",
        "2026-11-20T00:00:00.1234567Z", "2026-11-20T25:00:00Z", "2026-11-20T00:00:00Zx"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace anomalyd::runtime
