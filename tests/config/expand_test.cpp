#include "config/expand.hpp"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/config/surroundings.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Surroundings any_surroundings() {
  return testing::FakeSurroundings{
      .variables = {{"HOST", "db1"}, {"EMPTY", ""}, {"API_TOKEN", "abc"}, {"TRICK", "${HOST}"}},
      .files = {{"/run/pass", "hunter2"}}}
      .get();
}

std::string expanded(std::string_view text) {
  const auto result = expand(text, any_surroundings());
  return result ? result->text : "error: " + result.error().message;
}

TEST(Expand, ReplacesVariablesDefaultsAndFiles) {
  EXPECT_EQ(expanded("plain"), "plain");
  EXPECT_EQ(expanded("${HOST}:9092"), "db1:9092");
  EXPECT_EQ(expanded("${NOPE:-fallback}:${HOST}"), "fallback:db1");
  EXPECT_EQ(expanded("${NOPE:-}"), "");
  EXPECT_EQ(expanded("${EMPTY:-not used}"), "") << "an empty variable is set";
  EXPECT_EQ(expanded("${file:/run/pass}"), "hunter2");
}

TEST(Expand, LeavesDollarsAloneAndTakesTwoForAPlainOne) {
  EXPECT_EQ(expanded("$HOST costs 5$"), "$HOST costs 5$");
  EXPECT_EQ(expanded("$${HOST}"), "${HOST}");
}

TEST(Expand, DoesNotExpandWhatCameIn) { EXPECT_EQ(expanded("${TRICK}"), "${HOST}"); }

TEST(Expand, SaysWhatIsMissing) {
  EXPECT_EQ(expanded("${NOPE}"),
            "error: environment variable 'NOPE' is not set; expected a value, or a default as in "
            "${NOPE:-default}");
  EXPECT_EQ(expanded("${file:/nope}"), "error: reading a file: '/nope': no such file");
  EXPECT_EQ(expanded("${HOST"), "error: '${' without its end; expected '}'");
  EXPECT_EQ(expanded("${no name}"),
            "error: '${no name}' is no reference; expected ${NAME}, ${NAME:-default} or "
            "${file:/path} ($${ for a plain ${)");
}

TEST(Expand, RemembersItsSourcesAndWhetherOneIsASecret) {
  const auto mixed = expand("${HOST}${file:/run/pass}", any_surroundings());
  EXPECT_THAT(mixed->sources, ElementsAre("environment HOST", "file /run/pass"));
  EXPECT_TRUE(mixed->secret);
  EXPECT_TRUE(expand("${API_TOKEN}", any_surroundings())->secret);
  EXPECT_FALSE(expand("${HOST}", any_surroundings())->secret);
  EXPECT_THAT(expand("${NOPE:-x}", any_surroundings())->sources, IsEmpty());
}

TEST(ProcessSurroundings, ReadSmallFilesWithoutTheirLastNewline) {
  const anomalyd::testing::TemporaryFolder folder;
  const auto path = folder.write("secret", "hunter2\n");
  EXPECT_EQ(process_surroundings().file(path.string()).value(), "hunter2");

  folder.write("secret", std::string(100'000, 'x'));
  EXPECT_THAT(process_surroundings().file(path.string()).error().message,
              HasSubstr("100000 bytes; expected at most 65536"));
  EXPECT_THAT(process_surroundings().file((folder.path() / "none").string()).error().message,
              HasSubstr("No such file"));
  EXPECT_THAT(process_surroundings().file("/").error().message, HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace anomalyd::config
