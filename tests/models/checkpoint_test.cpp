#include "models/checkpoint.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "model_fixtures.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::models::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

class CheckpointFile : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path path() const { return folder_.path() / "model.ckpt"; }
  [[nodiscard]] std::size_t num_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{folder_.path()}, fs::directory_iterator{}));
  }

  anomalyd::testing::TemporaryFolder folder_;
};

class EveryKindOnDisk : public CheckpointFile, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKindOnDisk, every_kind(),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryKindOnDisk, ScoresTheSameAfterSavingAndLoading) {
  Options options = small_options(GetParam());
  const auto models = factory(options);
  TrainingSet set = training_set(2, {coupled_rows(100, 2, 1), coupled_rows(100, 2, 2)});
  set.channels[1].unit = "\u00b0C";
  const auto scorer = trained(options, set);
  const CheckpointExtras extras{R"({"rows":{"topic":"t"}})", {std::byte{1}, std::byte{2}}};
  ASSERT_TRUE(models->save(*scorer, extras, path()));

  const auto loaded = models->load(path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const ModelInfo& info = loaded->scorer->info();
  EXPECT_EQ(info.kind, scorer->info().kind);
  EXPECT_EQ(info.choice, scorer->info().choice);
  EXPECT_EQ(info.version, scorer->info().version);
  EXPECT_EQ(info.members, scorer->info().members);
  EXPECT_EQ(info.channels, scorer->info().channels);
  EXPECT_EQ(info.slots, scorer->info().slots);
  EXPECT_EQ(info.context, scorer->info().context);
  EXPECT_EQ(loaded->extras.provenance_json, extras.provenance_json);
  EXPECT_EQ(loaded->extras.calibration, extras.calibration);
  const Batch batch = batch_of(*scorer, coupled_rows(90, 2, 3), 2);
  EXPECT_EQ(residuals_of(*loaded->scorer, batch, scorer.memories), residuals_of(scorer, batch));
}

TEST_F(CheckpointFile, ReplacesTheOldOneAndLeavesNothingBeside) {
  const auto models = factory(small_options("pca"));
  const auto scorer = trained(small_options("pca"), training_set(1, {coupled_rows(100, 1, 1)}));
  ASSERT_TRUE(models->save(*scorer, {}, path()));
  ASSERT_TRUE(models->save(*scorer, {}, path()));
  EXPECT_EQ(num_files(), 1U);
  EXPECT_TRUE(models->load(path()));
}

TEST_F(CheckpointFile, SaysWhyItCannotBeWritten) {
  const Status written = write_atomically(folder_.path() / "no" / "such" / "folder.ckpt", {});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(written.error().message, HasSubstr("No such file or directory"));
}

TEST_F(CheckpointFile, SaysThatThereIsNone) {
  const auto loaded = factory(small_options("pca"))->load(path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(loaded.error().message, HasSubstr("No such file or directory"));
}

// A model with one weight of four values, and calibration of three bytes.
struct Tiny {
  std::vector<float> values{1, 2, 3, 4};

  [[nodiscard]] Checkpoint checkpoint() const {
    Checkpoint result;
    result.kind = "predictor";
    result.context = 3;
    result.channels = {{"load", "%"}, {"heat", ""}};
    result.slots = {"a"};
    result.members = {{{"var", "predictor", {{"lags", {2, 1}}}},
                       {{"weight", {2, 2}, std::as_bytes(std::span{values})}}}};
    result.extras = {"{}", Bytes(3)};
    return result;
  }
};

std::string message_of(const Result<Checkpoint>& result) {
  return result ? "" : result.error().message;
}

// The same file with one text in its manifest replaced by another of the same length, resealed.
Bytes with_text(Bytes bytes, std::string_view text, std::string_view other) {
  bytes.resize(bytes.size() - 32);
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  const auto at = std::search(bytes.begin(), bytes.end(), begin, begin + text.size());
  EXPECT_NE(at, bytes.end()) << text;
  EXPECT_EQ(text.size(), other.size());
  std::memcpy(&*at, other.data(), other.size());
  return sealed(std::move(bytes));
}

TEST(CheckpointFormat, GivesBackWhatWasWritten) {
  const Tiny tiny;
  const Bytes bytes = encode(tiny.checkpoint());
  const auto read = decode(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->kind, "predictor");
  EXPECT_EQ(read->context, 3U);
  EXPECT_EQ(read->channels, tiny.checkpoint().channels);
  EXPECT_THAT(read->slots, ElementsAre("a"));
  ASSERT_THAT(read->members, SizeIs(1));
  EXPECT_EQ(read->members[0].spec.options, tiny.checkpoint().members[0].spec.options);
  EXPECT_THAT(read->members[0].weights[0].sizes, ElementsAre(2, 2));
  EXPECT_TRUE(
      std::ranges::equal(read->members[0].weights[0].bytes, std::as_bytes(std::span{tiny.values})));
  EXPECT_THAT(read->extras.calibration, SizeIs(3));
  EXPECT_EQ(content_version(*read), content_version(tiny.checkpoint()));
}

TEST(CheckpointFormat, HasAnotherVersionForOtherWeights) {
  Tiny tiny;
  const std::string before = content_version(tiny.checkpoint());
  tiny.values[2] = 5;
  EXPECT_NE(content_version(tiny.checkpoint()), before);
}

TEST(CheckpointFormat, RefusesEveryTruncation) {
  const Bytes bytes = encode(Tiny{}.checkpoint());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto read = decode(std::span{bytes}.first(size));
    ASSERT_FALSE(read) << size << " of " << bytes.size() << " bytes";
    ASSERT_EQ(read.error().kind, ErrorKind::kIncompatible);
  }
}

TEST(CheckpointFormat, RefusesEveryFlippedBit) {
  Bytes bytes = encode(Tiny{}.checkpoint());
  for (std::byte& byte : bytes) {
    byte ^= std::byte{4};
    ASSERT_FALSE(decode(bytes));
    byte ^= std::byte{4};
  }
  EXPECT_TRUE(decode(bytes));
}

TEST(CheckpointFormat, SaysWhatIsDamaged) {
  const Bytes good = encode(Tiny{}.checkpoint());
  Bytes bytes = good;
  bytes.back() ^= std::byte{1};
  EXPECT_THAT(message_of(decode(bytes)), HasSubstr("found a damaged file, sha256 "));
  EXPECT_EQ(message_of(decode(Bytes(10))), "found 10 bytes; expected at least 48");
  EXPECT_THAT(message_of(decode(Bytes(100))),
              HasSubstr("expected the file to begin with ANOMALYD"));
}

TEST(CheckpointFormat, RefusesAnotherFormatVersion) {
  Bytes bytes = encode(Tiny{}.checkpoint());
  bytes.resize(bytes.size() - 32);
  bytes[8] = std::byte{9};
  EXPECT_EQ(message_of(decode(sealed(std::move(bytes)))), "found checkpoint format 9; expected 1");
}

// What passes the checksum may still be hostile: whoever writes the file computes the checksum.
TEST(CheckpointFormat, RefusesShapesThatTheFileCannotHold) {
  const Bytes good = encode(Tiny{}.checkpoint());
  EXPECT_THAT(message_of(decode(with_text(good, "\"shape\":[2,2]", "\"shape\":[9,9]"))),
              HasSubstr("weight 'var/weight': found 19 bytes left in the file; expected enough"));
  EXPECT_THAT(message_of(decode(with_text(good, "\"shape\":[2,2]", "\"shape\":[0,2]"))),
              HasSubstr("found size 0"));
  EXPECT_THAT(message_of(decode(with_text(good, R"("shape":[2,2])", R"("shape":[-2] )"))),
              HasSubstr("manifest: found -2; expected a count"));
  EXPECT_THAT(message_of(decode(with_text(good, "\"shape\":[2,2]", "\"shape\":[1,2]"))),
              HasSubstr("bytes after the weights; expected 3 bytes of calibration"));
}

TEST(CheckpointFormat, RefusesAProductOfSizesThatOverflows) {
  const std::vector<float> values(4);
  Checkpoint checkpoint = Tiny{}.checkpoint();
  checkpoint.members[0].weights[0] = {
      "weight", {1LL << 31, 1LL << 31, 1LL << 31, 1LL << 31}, std::as_bytes(std::span{values})};
  EXPECT_THAT(message_of(decode(encode(checkpoint))), HasSubstr("expected enough for shape"));
}

TEST(CheckpointFormat, RefusesAManifestThatIsNotOne) {
  const Bytes good = encode(Tiny{}.checkpoint());
  EXPECT_THAT(message_of(decode(with_text(good, "\"members\"", "\"memberz\""))),
              HasSubstr("key 'members' not found"));
  EXPECT_THAT(message_of(decode(with_text(good, "\"context\":3", "\"context\":{"))),
              HasSubstr("manifest: found no JSON object"));
  EXPECT_THAT(message_of(decode(with_text(good, "\"weight\"", "12345678"))),
              HasSubstr("type must be string"));
}

TEST(CheckpointFormat, SurvivesAManifestThatNestsForever) {
  Bytes bytes = encode(Tiny{}.checkpoint());
  bytes.resize(12);  // magic and format
  const std::uint32_t depth = 1 << 20;
  const auto* length = reinterpret_cast<const std::byte*>(&depth);
  bytes.insert(bytes.end(), length, length + sizeof depth);
  bytes.insert(bytes.end(), depth, std::byte{'['});
  EXPECT_FALSE(decode(sealed(std::move(bytes))));
}

// Rewrites a saved model, and returns what loading it says.
class HostileCheckpoint : public CheckpointFile {
 protected:
  std::string load_after(const std::function<void(Checkpoint&)>& change,
                         const std::string& kind = "dense_ae") {
    const auto models = factory(small_options(kind));
    const auto scorer = trained(small_options(kind), training_set(2, {coupled_rows(100, 2, 1)}));
    EXPECT_TRUE(models->save(*scorer, {}, path()));
    const auto bytes = read_file(path());
    auto checkpoint = decode(*bytes);
    change(*checkpoint);
    EXPECT_TRUE(write_atomically(path(), encode(*checkpoint)));
    const auto loaded = models->load(path());
    if (loaded) return "";
    EXPECT_EQ(loaded.error().kind, expected_);
    return loaded.error().message;
  }
  ErrorKind expected_ = ErrorKind::kIncompatible;
};

TEST_F(HostileCheckpoint, WithWeightsOfAnotherShapeIsRefused) {
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) {
                std::swap(checkpoint.members[0].weights[0].sizes[1],
                          checkpoint.members[0].weights[0].sizes[2]);
              }),
              HasSubstr("member 'dense_ae': found weight 'layer0.weight' of shape 1x12x16; "
                        "expected 'layer0.weight' of shape 1x16x12"));
}

TEST_F(HostileCheckpoint, WithTooFewWeightsIsRefused) {
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) { checkpoint.members[0].weights.pop_back(); }),
              HasSubstr("found 7 weights; expected 8"));
}

TEST_F(HostileCheckpoint, WithWeightsThatAreNoNumbersIsRefused) {
  expected_ = ErrorKind::kNotFinite;
  const std::vector<float> weights(16 * 12, NAN);
  EXPECT_THAT(load_after([&](Checkpoint& checkpoint) {
                checkpoint.members[0].weights[0].bytes = std::as_bytes(std::span{weights});
              }),
              HasSubstr("found weight 'layer0.weight' with values that are no numbers"));
}

TEST_F(HostileCheckpoint, WithAbsurdClassesIsRefused) {
  const auto with_classes = [&](const std::vector<std::string>& classes) {
    return load_after([&](Checkpoint& checkpoint) { checkpoint.classes = classes; }, "aae_cluster");
  };
  EXPECT_THAT(with_classes({"regime 1", "regime 2"}),
              HasSubstr("classes: found 2 names; expected 1"));
  EXPECT_THAT(with_classes({std::string(300, 'x')}), HasSubstr("of 300 bytes; expected different"));
  EXPECT_THAT(with_classes({""}), HasSubstr("of 0 bytes"));
}

TEST_F(HostileCheckpoint, WithMoreSeriesThanWeightsIsRefused) {
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) { checkpoint.slots.resize(1000); }),
              HasSubstr("expected 'layer0.weight' of shape 1001x16x12"));
}

TEST_F(CheckpointFile, SaysWhichNetworksServeAllSeries) {
  Options options = small_options("vard+latent");
  options.scope = ModelScope::kPooledNetworks;
  const auto models = factory(options);
  const auto scorer =
      trained(options, training_set(2, {coupled_rows(100, 2, 1), coupled_rows(100, 2, 2)}));
  ASSERT_TRUE(models->save(*scorer, {}, path()));
  const auto loaded = models->load(path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->scorer->info().version, scorer->info().version);
  const Batch batch = batch_of(*scorer, coupled_rows(90, 2, 3), 2);
  EXPECT_EQ(residuals_of(*loaded->scorer, batch, scorer.memories), residuals_of(scorer, batch));
}

TEST_F(HostileCheckpoint, WithAnUnknownKindIsRefused) {
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) { checkpoint.members[0].spec.kind = "gan"; }),
              HasSubstr("found kind 'gan'; expected one of predictor, pca, dense_ae"));
}

TEST_F(HostileCheckpoint, WithOptionsOutOfRangeIsRefused) {
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) {
                checkpoint.members[0].spec.options["window"] = {1e18};
              }),
              HasSubstr("window: found 1e+18; expected 4..4096"));
  EXPECT_THAT(load_after([](Checkpoint& checkpoint) {
                checkpoint.members[0].spec.options.erase("hidden");
              }),
              HasSubstr("hidden: found nothing; expected a value"));
}

}  // namespace
}  // namespace anomalyd::models::testing
