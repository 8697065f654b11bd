#include "daemon/runtime/rebuild.hpp"

#include <gmock/gmock.h>

#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "tests/runtime/judged_chunks.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using pipeline::History;
using pipeline::JudgedRows;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::judged_chunk;
using testing::kMinute;
using testing::same_rows;
using ::testing::SizeIs;
using testing::two_channels;

const ProgressFn kNoProgress = [](const TrainingProgress&) {};

EventTime minute(std::int64_t row) { return EventTime{std::chrono::microseconds{row * kMinute}}; }

class RebuildTest : public ::testing::Test {
 protected:
  /// A version of 1000 rows of m0 and m1, whose rows are kept.
  Manifest add_version(const std::vector<History>& rows, bool keep_rows = true) {
    testing::PersistenceFactory factory;
    TrainingReport report;
    auto learned =
        pipeline::learn(rows, two_channels(), factory, options_, kNoProgress, {}).value();
    auto draft = registry_->begin().value();
    EXPECT_TRUE(
        factory.save(*learned.scorer, {"{}", learned.group->calibration()}, draft->checkpoint()));
    if (keep_rows) {
      EXPECT_TRUE(write_rows(draft->rows(), two_channels(), rows));
    }
    Manifest manifest = manifest_of(learned.group->info);
    manifest.data = {{{"metrics", 3}, 0, 999, minute(0), minute(999), 2000}};
    manifest.seed = 7;
    return registry_->add(std::move(draft), std::move(manifest), "test").value();
  }
  void keep_in_reservoir(const std::vector<JudgedRows>& rows) const {
    ASSERT_TRUE(Reservoir::open(reservoir(), {}).value().append(rows));
  }
  std::filesystem::path reservoir() const { return folder_.path() / "reservoir"; }
  Result<std::vector<History>> rows_of(const Manifest& manifest) const {
    return rows_of_version(*registry_, manifest, reservoir(), {}, options_);
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<ModelRegistry> registry_ =
      ModelRegistry::open(folder_.path() / "models", ModelRegistry::Access::kWrite,
                          {system_clock(), {}})
          .value();
  pipeline::PipelineOptions options_;
  std::vector<History> histories_{judged_chunk("m0", 0, 1000).history,
                                  judged_chunk("m1", 0, 1000).history};
};

TEST_F(RebuildTest, TakesTheRowsThatAreKept) {
  const Manifest manifest = add_version(histories_);
  const auto rows = rows_of(manifest);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_THAT(*rows, SizeIs(2));
  EXPECT_TRUE(same_rows((*rows)[0], histories_[0]));
  EXPECT_TRUE(same_rows((*rows)[1], histories_[1]));
}

TEST_F(RebuildTest, SaysThatKeptRowsAreDamaged) {
  const Manifest manifest = add_version(histories_);
  const auto path = registry_->rows_path(manifest.group, manifest.version);
  std::filesystem::resize_file(path, 1000);
  const auto rows = rows_of(manifest);
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, ErrorKind::kIncompatible);
  EXPECT_THAT(rows.error().message, HasSubstr(path.string()));
}

TEST_F(RebuildTest, TakesTheRangesOutOfTheReservoirWhereNoRowsAreKept) {
  const Manifest manifest = add_version(histories_, false);
  keep_in_reservoir({judged_chunk("m0", 0, 1000), judged_chunk("m1", 0, 1000),
                     judged_chunk("m0", 1000 * kMinute, 500),  // came later
                     judged_chunk("m1", 1000 * kMinute, 500)});
  const auto rows = rows_of(manifest);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_THAT(*rows, SizeIs(2));
  EXPECT_EQ((*rows)[0].times, histories_[0].times);
  EXPECT_EQ((*rows)[1].rows, histories_[1].rows);
}

TEST_F(RebuildTest, SaysWhichRowsTheReservoirLacks) {
  const Manifest manifest = add_version(histories_, false);
  const auto none = rows_of(manifest);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message,
              AllOf(HasSubstr("the rows of version " + manifest.version + " are not kept"),
                    HasSubstr("metrics[3] offsets 0 to 999, 1970-01-01T00:00:00.000Z to "
                              "1970-01-01T16:39:00.000Z: 0 of 2000 rows are left")));
  keep_in_reservoir({judged_chunk("m0", 0, 1000), judged_chunk("m1", 500 * kMinute, 500)});
  EXPECT_THAT(rows_of(manifest).error().message, HasSubstr(": 1500 of 2000 rows are left"));
}

TEST_F(RebuildTest, LeavesOutAnIncidentAndWhatIsNearItAndTouchesNothingElse) {
  const std::vector<Exclusion> one{{"m0", minute(500), minute(519), "incident a1"}};
  const auto kept = without(histories_, one, options_);
  ASSERT_THAT(kept, SizeIs(2));
  EXPECT_EQ(kept[0].size(), 1000 - 20 - 2 * options_.window.length);
  EXPECT_EQ(std::ranges::count(kept[0].times, 500 * kMinute), 0);
  EXPECT_EQ(kept[0].gaps[500 - options_.window.length], History::kRestart);
  EXPECT_TRUE(same_rows(kept[1], histories_[1]));

  const std::vector<Exclusion> elsewhere{{"m0", minute(2000), minute(2010), "incident b2"}};
  EXPECT_TRUE(same_rows(without(histories_, elsewhere, options_)[0], histories_[0]));
  const std::vector<Exclusion> all{{"m0", minute(0), minute(950), "incident c3"}};
  EXPECT_THAT(without(histories_, all, options_), SizeIs(1)) << "too few rows are left of m0";
}

TEST_F(RebuildTest, SaysWhereAVersionCameFromAndWhatItLacks) {
  const Manifest before = add_version(histories_);
  testing::PersistenceFactory factory;
  factory.version = "second";
  auto rebuilt =
      rebuild({before, histories_, {{"m0", minute(500), minute(519), "incident a1"}}, "anna"},
              *registry_, factory, options_, kNoProgress, {});
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_FALSE(rebuilt->reproduced);
  EXPECT_EQ(rebuilt->rows_taken, 20 + 2 * options_.window.length);
  const Manifest& manifest = rebuilt->manifest;
  EXPECT_EQ(manifest.parent, before.version);
  EXPECT_EQ(manifest.reason, "rebuild");
  EXPECT_EQ(manifest.seed, 7U);
  ASSERT_THAT(manifest.exclusions, SizeIs(1));
  EXPECT_EQ(manifest.exclusions[0].why, "incident a1");
  EXPECT_EQ(manifest.num_rows(), 2000 - rebuilt->rows_taken);
  EXPECT_EQ(manifest.excluded_rows.at("excluded"), rebuilt->rows_taken);
  const auto kept = read_rows(registry_->rows_path(manifest.group, manifest.version));
  ASSERT_TRUE(kept) << "so that it can be rebuilt in turn";
  EXPECT_EQ(kept->histories[0].size(), 1000 - rebuilt->rows_taken);
}

TEST_F(RebuildTest, AddsNothingWhereTheWeightsAreTheSame) {
  const Manifest before = add_version(histories_);
  testing::PersistenceFactory factory;
  const auto rebuilt =
      rebuild({before, histories_, {}, "anna"}, *registry_, factory, options_, kNoProgress, {});
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_TRUE(rebuilt->reproduced);
  EXPECT_EQ(registry_->groups().at(0).versions.size(), 1U);
}

TEST_F(RebuildTest, RefusesToLearnFromNothing) {
  const Manifest before = add_version(histories_);
  testing::PersistenceFactory factory;
  const auto rebuilt = rebuild({before, histories_, {{"", minute(0), minute(2000), "all"}}, "anna"},
                               *registry_, factory, options_, kNoProgress, {});
  ASSERT_FALSE(rebuilt);
  EXPECT_THAT(rebuilt.error().message, HasSubstr("no series has rows enough"));
}

}  // namespace
}  // namespace anomalyd::runtime
