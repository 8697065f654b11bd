#include "daemon/runtime/model_registry.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "daemon/runtime/durable_file.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using anomalyd::testing::ManualClock;
using anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Access = ModelRegistry::Access;

const std::string kKey = "load,heat";

class ModelRegistryTest : public ::testing::Test {
 protected:
  std::unique_ptr<ModelRegistry> open(Access access = Access::kWrite) {
    auto opened = ModelRegistry::open(models(), access, {clock_, [this](const AuditEvent& event) {
                                                           events_.push_back(event.event);
                                                         }});
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  /// Adds a version, a second after the one before.
  Result<Manifest> add(ModelRegistry& registry, const std::string& version,
                       const std::string& content = "weights") {
    clock_.advance(seconds{1});
    auto draft = registry.begin().value();
    std::ofstream{draft->checkpoint()} << content;
    Manifest manifest;
    manifest.version = version;
    manifest.channels = {{"load", "%"}, {"heat", ""}};
    return registry.add(std::move(draft), std::move(manifest), "test");
  }
  static void promote(ModelRegistry& registry, const std::string& version) {
    const auto promoted = registry.promote(kKey, version, {.why = "test", .by = "me", .since = {}});
    ASSERT_TRUE(promoted) << promoted.error().message;
  }
  static std::string champion(const ModelRegistry& registry) {
    const auto group = registry.group("");
    return group && group->champion ? group->champion->version : "none";
  }
  static std::vector<std::string> versions(const ModelRegistry& registry) {
    std::vector<std::string> names;
    const auto group = registry.group("");
    for (const Manifest& manifest : group->versions) names.push_back(manifest.version);
    return names;
  }
  fs::path models() const { return folder_.path() / "models"; }
  fs::path group_folder() const { return models() / ModelRegistry::id_of(kKey); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream{group_folder() / name, std::ios::binary} << text;
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  std::vector<std::string> events_;
};

TEST_F(ModelRegistryTest, KnowsItsVersionsAndChampionAfterARestart) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    ASSERT_TRUE(add(*registry, "b", "others"));
    promote(*registry, "a");
    ASSERT_TRUE(registry->promote(
        kKey, "b", {.why = "better", .by = "anna", .since = {{{"metrics", 2}, 40}}}));
  }
  const auto registry = open();
  EXPECT_THAT(registry->troubles(), IsEmpty());
  const auto group = registry->group(ModelRegistry::id_of(kKey).substr(0, 4));
  ASSERT_TRUE(group);
  EXPECT_EQ(group->key, kKey);
  EXPECT_EQ(group->channels, (std::vector<Channel>{{"load", "%"}, {"heat", ""}}));
  EXPECT_THAT(versions(*registry), ElementsAre("a", "b"));
  ASSERT_TRUE(group->champion);
  EXPECT_EQ(group->champion->version, "b");
  EXPECT_EQ(group->champion->previous, "a");
  EXPECT_EQ(group->champion->since.front().offset, 40);
  EXPECT_TRUE(registry->verify(kKey, "b"));
  EXPECT_THAT(events_, ElementsAre("added", "added", "promoted", "promoted"));
}

TEST_F(ModelRegistryTest, TakesAnEqualVersionTwiceAndRefusesAnotherOfTheSameName) {
  const auto registry = open();
  ASSERT_TRUE(add(*registry, "a", "one"));
  EXPECT_TRUE(add(*registry, "a", "one"));
  const auto other = add(*registry, "a", "two");
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("found another checkpoint, sha256"));
  EXPECT_TRUE(registry->verify(kKey, "a")) << "the first one is as it was";
  EXPECT_THAT(events_, ElementsAre("added"));
  EXPECT_FALSE(add(*registry, "../a"));
  EXPECT_FALSE(add(*registry, "champion"));
}

TEST_F(ModelRegistryTest, SaysWhichGroupsAndVersionsThereAre) {
  const auto registry = open();
  ASSERT_TRUE(add(*registry, "abc1"));
  ASSERT_TRUE(add(*registry, "abd2", "others"));
  const auto group = registry->group(kKey).value();
  EXPECT_EQ(ModelRegistry::version(group, "abc").value().version, "abc1");
  EXPECT_THAT(ModelRegistry::version(group, "ab").error().message,
              HasSubstr("'ab' of group " + group.id + " is ambiguous; there are: abc1, abd2"));
  EXPECT_THAT(registry->group("zzz").error().message,
              HasSubstr("group 'zzz' is unknown; there are: " + group.id + " (load,heat)"));
  EXPECT_THAT(registry->promote(kKey, "x", {}).error().message, HasSubstr("'x'"));
}

TEST_F(ModelRegistryTest, LeavesNothingOfADraftThatIsNotAdded) {
  const auto registry = open();
  { std::ofstream{registry->begin().value()->checkpoint()} << "half"; }
  EXPECT_TRUE(fs::is_empty(models()));
}

TEST_F(ModelRegistryTest, ClearsAwayWhatAKilledProcessWasWriting) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    promote(*registry, "a");
  }
  folder_.write("models/version7.draft/checkpoint", "half");
  write("champion.json.draftX9f2a1", "{\"vers");
  write("b.json.draftX9f2a2", "{");
  const auto registry = open();
  EXPECT_THAT(registry->troubles(), IsEmpty());
  EXPECT_EQ(champion(*registry), "a");
  EXPECT_EQ(std::distance(fs::directory_iterator{models()}, {}), 1);
  EXPECT_EQ(std::distance(fs::directory_iterator{group_folder()}, {}), 4) << "group, a, champion";
}

/// Every moment of a crash while a second version is added and promoted: all files up to that
/// moment are there, the later ones are not.
TEST_F(ModelRegistryTest, HasOneChampionWhereverACrashHits) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    promote(*registry, "a");
    ASSERT_TRUE(add(*registry, "b", "others"));
    promote(*registry, "b");
  }
  const auto remove = [&](const char* name) { fs::remove(group_folder() / name); };
  EXPECT_EQ(champion(*open()), "b");

  const std::string old = to_json(Champion{"a", "", {}, clock_.wall(), "me", "test"});
  write("champion.json", old);  // before the promotion
  EXPECT_EQ(champion(*open()), "a");
  EXPECT_THAT(versions(*open()), ElementsAre("a", "b"));

  remove("b.json");  // before the manifest
  const auto registry = open();
  EXPECT_EQ(champion(*registry), "a");
  EXPECT_THAT(versions(*registry), ElementsAre("a"));
  EXPECT_THAT(registry->troubles(), ElementsAre(HasSubstr("b.ckpt: found no manifest beside it")));
  ASSERT_TRUE(add(*registry, "b", "others")) << "it can be made again";

  remove("champion.json");  // before the first promotion
  EXPECT_EQ(champion(*open()), "none");
  EXPECT_THAT(open()->troubles(), IsEmpty());
}

TEST_F(ModelRegistryTest, FallsBackToThePreviousVersion) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    ASSERT_TRUE(add(*registry, "b", "others"));
    ASSERT_TRUE(add(*registry, "c", "more"));
    promote(*registry, "a");
    promote(*registry, "b");
  }
  fs::remove(group_folder() / "b.ckpt");
  EXPECT_EQ(champion(*open(Access::kRead)), "a");
  events_.clear();
  const auto registry = open();
  EXPECT_EQ(champion(*registry), "a");
  EXPECT_THAT(registry->troubles(),
              ElementsAre(HasSubstr("b.json: its checkpoint: No such file"),
                          HasSubstr("found version b, which is not there or cannot be used; "
                                    "version a takes its place")));
  EXPECT_THAT(events_, ElementsAre("fell_back"));
  EXPECT_THAT(open()->troubles(), ElementsAre(HasSubstr("b.json"))) << "told once";
}

TEST_F(ModelRegistryTest, FallsBackToTheNewestVersionWhereThePreviousIsUnknown) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    ASSERT_TRUE(add(*registry, "b", "others"));
    promote(*registry, "a");
  }
  for (const char* garbage :
       {"", "{", "[]", R"({"version":"../../etc"})", R"({"version":7})",
        R"({"version":"gone","previous":"gone too"})", R"({"version":"gone","previous":"gone"})"}) {
    write("champion.json", garbage);
    const auto registry = open();
    EXPECT_EQ(champion(*registry), "b") << garbage;
    EXPECT_THAT(registry->troubles(), ElementsAre(HasSubstr("champion.json: "))) << garbage;
  }
}

TEST_F(ModelRegistryTest, LeavesOutVersionsWhoseManifestIsNot) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    ASSERT_TRUE(add(*registry, "b", "others"));
    promote(*registry, "a");
  }
  const std::string good = read_whole(group_folder() / "b.json", 1 << 20).value();
  for (std::size_t cut = 0; cut < good.size() - 2; cut += 7) {
    write("b.json", good.substr(0, cut));
    const auto registry = open();
    EXPECT_THAT(versions(*registry), ElementsAre("a")) << cut;
    EXPECT_EQ(registry->troubles().size(), 1u) << cut;
  }
  write("b.json", read_whole(group_folder() / "a.json", 1 << 20).value());
  EXPECT_THAT(open()->troubles(), ElementsAre(HasSubstr("found version a of load,heat")));
  fs::remove(group_folder() / "b.json");
  fs::create_directory(group_folder() / "b.json");
  EXPECT_THAT(open()->troubles(), ElementsAre(HasSubstr("not a file")));
}

TEST_F(ModelRegistryTest, LeavesGroupsAloneThatAreNone) {
  folder_.write("models/notes.txt", "");
  folder_.write("models/backup/x", "");
  folder_.write("models/0000000000000000/group.json", R"({"channels":[{"name":"load"}]})");
  folder_.write("models/1111111111111111/group.json", "garbage");
  fs::create_directories(models() / "2222222222222222");
  const auto registry = open();
  EXPECT_THAT(registry->groups(), IsEmpty());
  EXPECT_THAT(registry->troubles(),
              ElementsAre(HasSubstr("found the channels load, which belong to"),
                          HasSubstr("found no JSON document"), HasSubstr("group.json"),
                          HasSubstr("stray folder"), HasSubstr("stray file")));
}

TEST_F(ModelRegistryTest, KeepsTheNewestTheChampionItsPredecessorAndPinnedOnes) {
  const auto registry = open();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) {
    ASSERT_TRUE(add(*registry, name, name));
  }
  promote(*registry, "b");
  promote(*registry, "c");
  ASSERT_TRUE(registry->set_pin(kKey, "a", ModelRegistry::Pin::kPinned, "anna"));
  write("d.rows", "rows");
  EXPECT_THAT(registry->keep(kKey, 3).value(), ElementsAre("d", "e", "f"));
  EXPECT_THAT(versions(*registry), ElementsAre("a", "b", "c", "g"));
  EXPECT_FALSE(fs::exists(group_folder() / "d.rows"));
  EXPECT_THAT(registry->keep(kKey, 1).value(), ElementsAre("g"))
      << "the champion and its predecessor are more than one";

  ASSERT_TRUE(registry->set_pin(kKey, "a", ModelRegistry::Pin::kUnpinned, "anna"));
  EXPECT_THAT(registry->keep(kKey, 2).value(), ElementsAre("a"));
  const auto again = open();
  EXPECT_THAT(versions(*again), ElementsAre("b", "c"));
  EXPECT_THAT(again->troubles(), IsEmpty());
}

TEST_F(ModelRegistryTest, KeepsAPinOverARestart) {
  {
    const auto registry = open();
    ASSERT_TRUE(add(*registry, "a"));
    ASSERT_TRUE(registry->set_pin(kKey, "a", ModelRegistry::Pin::kPinned, "anna"));
  }
  EXPECT_TRUE(open()->group("")->versions.front().pinned);
}

TEST_F(ModelRegistryTest, SeesADamagedCheckpoint) {
  const auto registry = open();
  ASSERT_TRUE(add(*registry, "a", "weights"));
  write("a.ckpt", "weightz");
  const auto verified = registry->verify(kKey, "a");
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().kind, ErrorKind::kIncompatible);
  EXPECT_THAT(verified.error().message, HasSubstr("a.ckpt: found sha256"));
}

TEST_F(ModelRegistryTest, ChangesNothingWhenItOnlyReads) {
  EXPECT_FALSE(ModelRegistry::open(models(), Access::kRead, {clock_, {}})) << "there is no folder";
  folder_.write("models/version7.draft/checkpoint", "half");
  EXPECT_THAT(open(Access::kRead)->groups(), IsEmpty());
  EXPECT_TRUE(fs::exists(models() / "version7.draft"));
}

TEST_F(ModelRegistryTest, KnowsCheckpointsOfTheOldLayout) {
  folder_.write("models/0123456789abcdef.ckpt", "weights");
  EXPECT_THAT(open()->loose_checkpoints(), ElementsAre(models() / "0123456789abcdef.ckpt"));
}

}  // namespace
}  // namespace anomalyd::runtime
