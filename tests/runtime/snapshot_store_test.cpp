#include "daemon/runtime/snapshot_store.hpp"

#include <gtest/gtest.h>

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
  fs::path only_file() const {
    return fs::directory_iterator { folder_.path() } -> path();
  }

  TemporaryFolder folder_;
  SnapshotStore store_ = SnapshotStore::open(folder_.path()).value();
  const PartitionId partition_{"metrics", 3};
};

TEST_F(SnapshotStoreTest, GivesBackWhatWasWritten) {
  ASSERT_TRUE(store_.write(partition_, {42, bytes_of("state")}));
  const auto read = store_.read(partition_);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->offset, 42);
  EXPECT_EQ((*read)->state, bytes_of("state"));
}

TEST_F(SnapshotStoreTest, KnowsNothingOfAPartitionItHasNotSeen) {
  const auto read = store_.read(partition_);
  ASSERT_TRUE(read);
  EXPECT_FALSE(*read);
}

TEST_F(SnapshotStoreTest, ReplacesAsAWholeAndLeavesNoTemporaryFile) {
  ASSERT_TRUE(store_.write(partition_, {1, bytes_of("old")}));
  ASSERT_TRUE(store_.write(partition_, {2, bytes_of("new")}));
  EXPECT_EQ((*store_.read(partition_))->offset, 2);
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_.path()}, fs::directory_iterator{}), 1);
}

TEST_F(SnapshotStoreTest, RefusesEveryFlippedBitAndSetsTheFileAside) {
  ASSERT_TRUE(store_.write(partition_, {42, bytes_of("state")}));
  const fs::path path = only_file();
  const auto size = fs::file_size(path);
  for (std::uintmax_t at = 0; at < size; ++at) {
    ASSERT_TRUE(store_.write(partition_, {42, bytes_of("state")}));
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
  ASSERT_TRUE(store_.write(partition_, {42, bytes_of("state")}));
  fs::resize_file(only_file(), fs::file_size(only_file()) - 3);
  EXPECT_FALSE(store_.read(partition_));
}

TEST(SnapshotStore, SaysWhichFolderItCannotMake) {
  const auto store = SnapshotStore::open("/proc/anomalyd/state");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("/proc/anomalyd/state"), std::string::npos);
}

TEST(WriteAtomically, KeepsTheOldFileWhenTheNewOneCannotBeWritten) {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "file";
  ASSERT_TRUE(write_atomically(path, bytes_of("old")));
  fs::create_directory(path.string() + ".new");  // in the way of the temporary file
  EXPECT_FALSE(write_atomically(path, bytes_of("new")));
  EXPECT_EQ(fs::file_size(path), 3u);
}

}  // namespace
}  // namespace anomalyd::runtime
