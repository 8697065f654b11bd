#include "daemon/runtime/snapshot_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using anomalyd::testing::TemporaryFolder;

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

class SnapshotStoreTest : public ::testing::Test {
 protected:
  Status write(Offset offset, const std::string& state) const {
    const auto draft = store_.begin(partition_, offset);
    for (const std::byte byte : bytes_of(state)) draft->state().put(byte);
    return draft->publish();
  }
  fs::path only_file() const { return begin(fs::directory_iterator{folder_.path()})->path(); }
  auto num_files() const {
    return std::distance(fs::directory_iterator{folder_.path()}, fs::directory_iterator{});
  }

  TemporaryFolder folder_;
  SnapshotStore store_ = SnapshotStore::open(folder_.path()).value();
  const PartitionId partition_{"metrics", 3};
};

TEST_F(SnapshotStoreTest, GivesBackWhatWasWritten) {
  ASSERT_TRUE(write(42, "state"));
  const auto read = store_.read(partition_);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->offset(), 42);
  EXPECT_TRUE(std::ranges::equal((*read)->state(), bytes_of("state")));
}

TEST_F(SnapshotStoreTest, GivesBackAStateOfManyPieces) {
  const std::string state(5 << 20, 'x');
  const auto draft = store_.begin(partition_, 7);
  for (int i = 0; i < 3; ++i) draft->state().put_text(state);
  ASSERT_TRUE(draft->publish());
  const auto read = store_.read(partition_);
  ASSERT_TRUE(read && *read);
  StateReader in{(*read)->state()};
  for (int i = 0; i < 3; ++i) {
    std::string text;
    ASSERT_TRUE(in.get_text(text));
    EXPECT_EQ(text, state);
  }
  EXPECT_TRUE(in.at_end());
}

TEST_F(SnapshotStoreTest, KnowsNothingOfAPartitionItHasNotSeen) {
  const auto read = store_.read(partition_);
  ASSERT_TRUE(read);
  EXPECT_FALSE(*read);
}

TEST_F(SnapshotStoreTest, ReplacesAsAWholeAndLeavesNoTemporaryFile) {
  ASSERT_TRUE(write(1, "old"));
  ASSERT_TRUE(write(2, "new"));
  EXPECT_EQ((*store_.read(partition_))->offset(), 2);
  EXPECT_EQ(num_files(), 1);
}

TEST_F(SnapshotStoreTest, RefusesEveryFlippedBitAndSetsTheFileAside) {
  ASSERT_TRUE(write(42, "state"));
  const fs::path path = only_file();
  const auto size = fs::file_size(path);
  for (std::uintmax_t at = 0; at < size; ++at) {
    ASSERT_TRUE(write(42, "state"));
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekg(static_cast<std::streamoff>(at));
    const int old = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(old ^ 0x10));
    file.close();
    const auto read = store_.read(partition_);
    ASSERT_FALSE(read) << "byte " << at;
    EXPECT_EQ(read.error().kind, ErrorKind::kIncompatible);
    EXPECT_TRUE(fs::exists(path.string() + ".damaged"));
    EXPECT_FALSE(*store_.read(partition_)) << "the next start finds none";
  }
}

TEST_F(SnapshotStoreTest, RefusesATruncatedFile) {
  ASSERT_TRUE(write(42, "state"));
  fs::resize_file(only_file(), fs::file_size(only_file()) - 3);
  EXPECT_FALSE(store_.read(partition_));
}

TEST(SnapshotStore, SaysWhichFolderItCannotMake) {
  const auto store = SnapshotStore::open("/proc/anomalyd/state");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("/proc/anomalyd/state"), std::string::npos);
}

TEST_F(SnapshotStoreTest, KeepsTheOldOneWhenTheNewOneCannotBePublished) {
  ASSERT_TRUE(write(1, "old"));
  auto draft = store_.begin(partition_, 2);
  fs::remove_all(folder_.path());
  const auto published = draft->publish();
  ASSERT_FALSE(published);
  EXPECT_NE(published.error().message.find("metrics-3.state"), std::string::npos);
}

TEST_F(SnapshotStoreTest, LeavesNothingOfADraftThatIsNotPublished) {
  ASSERT_TRUE(write(1, "old"));
  store_.begin(partition_, 2)->state().put_all(bytes_of(std::string(3 << 20, 'x')));
  EXPECT_EQ((*store_.read(partition_))->offset(), 1);
  EXPECT_EQ(num_files(), 1);
}

TEST_F(SnapshotStoreTest, ClearsAwayTheDraftsOfADaemonThatWasKilled) {
  folder_.write("metrics-3.state.draft17", "half");
  ASSERT_TRUE(SnapshotStore::open(folder_.path()));
  EXPECT_EQ(num_files(), 0);
}

}  // namespace
}  // namespace anomalyd::runtime
