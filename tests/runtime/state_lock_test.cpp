#include "daemon/runtime/state_lock.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::TemporaryFolder;
using ::testing::HasSubstr;

TEST(StateLock, IsHeldByOneAtATime) {
  const TemporaryFolder folder;
  const auto dir = folder.path() / "state";
  {
    const auto lock = StateLock::acquire(dir, "anomalyd");
    ASSERT_TRUE(lock) << lock.error().message;
    const auto second = StateLock::acquire(dir, "anomalyd");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
    EXPECT_THAT(second.error().message,
                HasSubstr("found the state folder of anomalyd " + std::to_string(getpid())));
  }
  EXPECT_TRUE(StateLock::acquire(dir, "anomalyd"));
}

TEST(StateLock, TellsWhoHoldsItAndWhereItAnswers) {
  const TemporaryFolder folder;
  EXPECT_FALSE(*StateLock::holder(folder.path())) << "nobody has ever held it";
  {
    const auto lock = StateLock::acquire(folder.path(), "anomalyd");
    ASSERT_TRUE(lock && (*lock)->announce("127.0.0.1:9464"));
    const auto holder = StateLock::holder(folder.path());
    ASSERT_TRUE(holder && *holder);
    EXPECT_EQ((*holder)->process, getpid());
    EXPECT_EQ((*holder)->program, "anomalyd");
    EXPECT_EQ((*holder)->http, "127.0.0.1:9464");
  }
  const auto gone = StateLock::holder(folder.path());
  ASSERT_TRUE(gone);
  EXPECT_FALSE(*gone) << "the file stays, the lock does not";
}

TEST(StateLock, DoesWithoutAnIdentityOfTheHolder) {
  const TemporaryFolder folder;
  const auto lock = StateLock::acquire(folder.path(), "anomalyd");
  folder.write("lock", "garbage");
  EXPECT_THAT(StateLock::acquire(folder.path(), "anomalyd").error().message,
              HasSubstr("another process"));
}

}  // namespace
}  // namespace anomalyd::runtime
