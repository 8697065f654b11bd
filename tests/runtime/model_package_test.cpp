#include "daemon/runtime/model_package.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "daemon/runtime/durable_file.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using anomalyd::testing::ManualClock;
using anomalyd::testing::TemporaryFolder;
using ::testing::HasSubstr;

Status anything(const fs::path& /*checkpoint*/, const Manifest& /*manifest*/) { return {}; }

class ModelPackageTest : public ::testing::Test {
 protected:
  std::unique_ptr<ModelRegistry> open(const std::string& name) {
    return ModelRegistry::open(folder_.path() / name, ModelRegistry::Access::kWrite, {clock_, {}})
        .value();
  }
  /// A version with rows, in a file.
  Manifest exported() {
    const auto registry = open("here");
    auto draft = registry->begin().value();
    std::ofstream{draft->checkpoint()} << "weights";
    std::ofstream{draft->rows()} << "some rows";
    Manifest manifest;
    manifest.version = "a1";
    manifest.channels = {{"load", "%"}};
    manifest.gate = R"({"outcome":"passed"})";
    Manifest added = registry->add(std::move(draft), manifest, "test").value();
    EXPECT_TRUE(registry->set_pin("load", "a1", ModelRegistry::Pin::kPinned, "test"));
    EXPECT_TRUE(export_version(*registry, added, file_));
    return added;
  }
  Result<Manifest> import(const std::string& bytes) {
    std::ofstream{file_, std::ios::binary} << bytes;
    return import_version(*there_, file_, "test", anything);
  }
  std::string bytes() const { return read_whole(file_, 1 << 20).value(); }
  /// With a checksum that is right again.
  static std::string sealed(std::string text) {
    text.resize(text.size() - 64);
    Sha256 sum;
    sum.add(text);
    return text + sum.hex();
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  const fs::path file_ = folder_.path() / "a1.model";
  std::unique_ptr<ModelRegistry> there_ = open("there");
};

TEST_F(ModelPackageTest, BringsAVersionToAnotherHostAsItWas) {
  const Manifest manifest = exported();
  const auto imported = import_version(*there_, file_, "test", anything);
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(*imported, manifest);
  EXPECT_FALSE(imported->pinned);
  EXPECT_TRUE(there_->verify("load", "a1"));
  EXPECT_EQ(read_whole(there_->rows_path("load", "a1"), 100).value(), "some rows");
  EXPECT_FALSE(there_->group("")->champion);
  EXPECT_TRUE(import_version(*there_, file_, "test", anything)) << "twice is once";
}

TEST_F(ModelPackageTest, IsAddedOnlyIfItsCheckpointPasses) {
  exported();
  const auto imported =
      import_version(*there_, file_, "test", [](const fs::path& checkpoint, const Manifest& m) {
        EXPECT_EQ(read_whole(checkpoint, 100).value(), "weights");
        EXPECT_EQ(m.version, "a1");
        return Status{fail(ErrorKind::kIncompatible, "not for this daemon")};
      });
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message, HasSubstr("a1.model: not for this daemon"));
  EXPECT_TRUE(there_->groups().empty());
}

TEST_F(ModelPackageTest, RefusesEveryFlippedByteAndEveryCut) {
  exported();
  const std::string good = bytes();
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(import(bad)) << at;
    EXPECT_FALSE(import(good.substr(0, at))) << at;
  }
  EXPECT_TRUE(there_->groups().empty());
  EXPECT_TRUE(fs::is_empty(folder_.path() / "there"));
}

TEST_F(ModelPackageTest, RefusesLengthsThatDoNotAddUp) {
  exported();
  const std::string good = bytes();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    const std::size_t at = bad.find(from);
    EXPECT_NE(at, bad.npos);
    bad.replace(at, from.size(), to);
    return import(sealed(bad));
  };
  EXPECT_TRUE(with("\"rows\":9", "\"rows\":9"));
  EXPECT_THAT(with("\"rows\":9", "\"rows\":8").error().message, HasSubstr("expected 16 bytes"));
  EXPECT_THAT(with("\"checkpoint\":7", "\"checkpoint\":-").error().message,
              HasSubstr("found a header without"));
  EXPECT_FALSE(with("\"version\":\"a1\"", "\"version\":\"..\""));
  EXPECT_THAT(with("weights", "wEights").error().message, HasSubstr("its manifest expects"));
  EXPECT_THAT(with("ANMDPACK", "ANMDPICK").error().message, HasSubstr("no exported version"));
  std::string huge = good;
  huge.replace(12, 4, "\xff\xff\xff\xff");
  EXPECT_THAT(import(sealed(huge)).error().message, HasSubstr("found a header of 4294967295"));
  std::string newer = good;
  newer[8] = 2;
  EXPECT_THAT(import(sealed(newer)).error().message, HasSubstr("found package format 2"));
}

TEST_F(ModelPackageTest, SaysThatThereIsNoFile) {
  EXPECT_THAT(import_version(*there_, "/nonexistent", "test", anything).error().message,
              HasSubstr("/nonexistent"));
  EXPECT_THAT(import("").error().message, HasSubstr("found 0 bytes"));
}

}  // namespace
}  // namespace anomalyd::runtime
