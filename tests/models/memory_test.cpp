#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "model_fixtures.hpp"

namespace anomalyd::models::testing {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::Lt;
using ::testing::SizeIs;

constexpr std::size_t kFitted = 140;
constexpr std::size_t kLearned = 200;

Batch batch_behind(const Trained& model, const std::vector<float>& rows, std::size_t first) {
  Batch batch = batch_of(*model, rows);
  std::erase_if(batch.windows, [&](const auto& window) { return window.end_row < first; });
  return batch;
}

/// Scores the batch with `memory`, which moves on.
std::vector<float> go_on(const Trained& model, Batch batch, Memory& memory) {
  for (Batch::Window& window : batch.windows) window.memory = &memory;
  const auto residuals = model->score(batch);
  EXPECT_TRUE(residuals);
  return residuals ? residuals->values : std::vector<float>{};
}

class MemoryOfOneChannel : public ::testing::Test {
 protected:
  std::vector<float> rows = coupled_rows(2000, 1, 1);
  Trained model =
      trained(small_options("bank16"), training_set(1, {{rows.begin(), rows.begin() + kFitted}}));
  Memory memory = *model->memorize(std::span{rows}.first(kFitted), 0, kLearned);
};

TEST_F(MemoryOfOneChannel, BeginsWithTheRowsItWasFittedOn) {
  ASSERT_THAT(memory.banks, SizeIs(1));
  EXPECT_EQ(memory.banks[0].size(1), kFitted - 15);
  EXPECT_EQ(memory.rows, kFitted);
}

TEST_F(MemoryOfOneChannel, TakesTheCalibrationRowsInWhenTheLastOfThemIsScored) {
  rows.resize(kLearned);
  go_on(model, batch_behind(model, rows, kFitted), memory);
  EXPECT_EQ(memory.banks[0].size(1), kFitted - 15 + kLearned - kFitted - 15);
  EXPECT_THAT(memory.banks[0].limits, Each(Gt(0)));
}

TEST_F(MemoryOfOneChannel, LearnsWhatLastsAndIsOrdinary) {
  for (std::size_t i = 500; i < rows.size(); ++i) rows[i] += 1.0F;  // a new level, not far off
  const auto distances = go_on(model, batch_behind(model, rows, kFitted), memory);
  const auto mean = [&](std::size_t begin, std::size_t end) {
    float sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += distances[i - kFitted];
    return sum / static_cast<float>(end - begin);
  };
  EXPECT_GT(mean(516, 560), 1.5F * mean(400, 500)) << "it is new at first";
  EXPECT_LT(mean(1500, 2000), 1.2F * mean(400, 500)) << "and known later";
}

TEST_F(MemoryOfOneChannel, DoesNotLearnAnAnomaly) {
  for (std::size_t i = 500; i < rows.size(); ++i) rows[i] += 20.0F;
  const auto distances = go_on(model, batch_behind(model, rows, kFitted), memory);
  EXPECT_THAT(std::vector(distances.end() - 1000, distances.end()), Each(Gt(10)));
}

TEST_F(MemoryOfOneChannel, ForgetsTheOldestBeyondItsCapacity) {
  memory.banks[0].capacity = 150;
  go_on(model, batch_behind(model, rows, kFitted), memory);
  EXPECT_EQ(memory.banks[0].size(1), 150U);
  EXPECT_THAT(go_on(model, batch_behind(model, {rows.begin(), rows.begin() + 100}, 40), memory),
              Each(Gt(0)))
      << "none of the windows it began with is left";
}

TEST_F(MemoryOfOneChannel, GoesOnAfterARestartAsIfNothingHadHappened) {
  rows.resize(900);
  const std::vector<float> until{rows.begin(), rows.begin() + 555};
  go_on(model, batch_behind(model, until, kFitted), memory);
  StateWriter out;
  memory.save(out);
  Memory loaded;
  StateReader in{out.bytes()};
  ASSERT_TRUE(loaded.load(in) && in.at_end());
  EXPECT_TRUE(loaded.fits(1, model->info().code_widths));
  EXPECT_FALSE(loaded.fits(2, model->info().code_widths));
  EXPECT_EQ(go_on(model, batch_behind(model, rows, 555), loaded),
            go_on(model, batch_behind(model, rows, 555), memory));
}

TEST_F(MemoryOfOneChannel, DoesNotMoveWhenScoringFails) {
  Batch batch = batch_behind(model, rows, kFitted);
  for (Batch::Window& window : batch.windows) window.memory = &memory;
  batch.windows.back().slot = 7;
  ASSERT_FALSE(model->score(batch));
  EXPECT_EQ(memory.rows, kFitted);
}

TEST_F(MemoryOfOneChannel, IsNeededForEveryWindow) {
  const auto result = model->score(batch_behind(model, rows, kFitted));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "batch: found a window without a memory; expected that of its series");
}

/// Two channels that go together, and then one of them is shifted against the other.
TEST(Memory, OfWholeWindowsKnowsWhichStatesGoTogether) {
  std::vector<float> rows = coupled_rows(900, 2, 1);
  for (std::size_t i = 700; i < 900; ++i) rows[2 * i] = rows[2 * (i - 300)];  // seen before, ...
  for (std::size_t i = 700; i < 900; ++i) rows[2 * i + 1] = rows[2 * (i - 312) + 1];  // not with it
  Options options = small_options("wbank");
  options.epochs = 40;
  const auto model =
      trained(options, training_set(2, {{rows.begin(), rows.begin() + 2 * 500}}));
  Memory memory = *model->memorize(std::span{rows}.first(2 * 400), 0, 500);
  EXPECT_EQ(memory.banks[0].width, 2U) << "half of three numbers";
  EXPECT_TRUE(memory.fits(2, model->info().code_widths));
  const auto distances = go_on(model, batch_behind(model, rows, 400), memory);
  float usual = 0;
  float broken = 0;
  for (std::size_t i = 0; i < distances.size(); i += 2) {
    EXPECT_EQ(distances[i], distances[i + 1]) << "it belongs to no channel more than to another";
    (i < 2 * 300 ? usual : broken) += distances[i] / (i < 2 * 300 ? 300 : 200);
  }
  EXPECT_GT(broken, 2 * usual);
}

TEST(Memory, OfAGroupHoldsTheNewestCodesOfEachSeriesAndStaysAsItIs) {
  const std::vector<std::vector<float>> series = {coupled_rows(200, 2, 1), coupled_rows(200, 2, 9)};
  const auto model = trained(small_options("bank16+bank32c"), training_set(2, series));
  std::vector<Memory> memories;
  for (const auto& rows : series) {
    memories.push_back(*model->memorize(std::span{rows}.first(2 * kFitted), 0, kLearned));
    go_on(model, batch_behind(model, rows, kFitted), memories.back());
    memories.back().banks[0].capacity = 60;
  }
  const Memory pooled = Memory::pooled(memories, 2);
  EXPECT_TRUE(pooled.fits(2, model->info().code_widths));
  EXPECT_EQ(pooled.banks[0].size(2), 60U) << "30 of each";
  for (const auto& rows : series) {
    const std::vector<float> newest{rows.end() - 80, rows.end()};
    Memory copy = pooled;
    const auto distances = go_on(model, batch_behind(model, newest, 39), copy);
    EXPECT_THAT(std::vector(distances.end() - 4, distances.end() - 2), Each(Lt(1e-3F)))
        << "the last window but one is one it knows";
    EXPECT_EQ(copy.banks[0].codes, pooled.banks[0].codes);
  }
}

TEST(Memory, OfAGroupHasACodeOfEachAsLongAsThereIsRoom) {
  const std::vector<float> rows = coupled_rows(200, 1, 1);
  const auto model = trained(small_options("bank16"), training_set(1, {rows}));
  std::vector<Memory> memories(10, *model->memorize(rows, 0, 200));
  for (Memory& memory : memories) memory.banks[0].capacity = 7;
  EXPECT_EQ(Memory::pooled(memories, 1).banks[0].size(1), 7U);
}

TEST(Memory, OfASeriesShorterThanAWindowFillsUpAndThenLearnsItsLimits) {
  std::vector<float> rows = coupled_rows(600, 1, 1);
  for (std::size_t i = 500; i < rows.size(); ++i) rows[i] += 20;
  const auto model = trained(small_options("bank32"), training_set(1, {rows}));
  Memory memory = *model->memorize(std::span{rows}.first(20), 0, 20);
  EXPECT_EQ(memory.banks[0].size(1), 0U);
  const auto distances = go_on(model, batch_behind(model, rows, 31), memory);
  EXPECT_TRUE(std::isnan(distances.front())) << "there is nothing to compare with";
  EXPECT_GT(memory.banks[0].size(1), 100U);
  EXPECT_GT(distances.back(), 10) << "the fault at the end did not join";
}

TEST(Memory, OfAnotherModelIsRefused) {
  const std::vector<float> rows = coupled_rows(200, 1, 1);
  const auto model = trained(small_options("bank16"), training_set(1, {rows}));
  const auto other = trained(small_options("bank32"), training_set(1, {rows}));
  Batch batch = batch_of(*model, rows);
  Memory memory = other.memories[0];
  for (Batch::Window& window : batch.windows) window.memory = &memory;
  const auto result = model->score(batch);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kIncompatible);
}

TEST(Memory, OfOtherRowsIsAnotherVersion) {
  const auto one = trained(small_options("memory"), training_set(1, {coupled_rows(200, 1, 1)}));
  const auto two = trained(small_options("memory"), training_set(1, {coupled_rows(200, 1, 2)}));
  EXPECT_NE(one->info().version, two->info().version);
}

class DamagedMemory : public ::testing::Test {
 protected:
  // Whether the memory loads after `damage`.
  bool loads_after(const std::function<void(Memory&)>& damage) {
    Memory memory = *model_->memorize(coupled_rows(200, 1, 1), 0, 200);
    go_on(model_, batch_behind(model_, coupled_rows(400, 1, 1), 200), memory);
    damage(memory);
    StateWriter out;
    memory.save(out);
    Memory loaded;
    StateReader in{out.bytes()};
    return loaded.load(in) && loaded.fits(1, model_->info().code_widths);
  }
  Trained model_ = trained(small_options("bank16"), training_set(1, {coupled_rows(200, 1, 1)}));
};

TEST_F(DamagedMemory, IsRefused) {
  EXPECT_TRUE(loads_after([](Memory&) {}));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.next_update = memory.rows + 513; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.next_update = memory.rows - 1; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.rows_per_update = 1 << 20; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks[0].capacity = 1 << 20; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks[0].capacity = 3; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks[0].next_start = 0; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks[0].limits.front() = NAN; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks[0].candidates.back() = 3e38F; }));
  EXPECT_FALSE(loads_after([](Memory& memory) { memory.banks.clear(); }));
}

}  // namespace
}  // namespace anomalyd::models::testing
