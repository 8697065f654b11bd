#include "tools/completion.hpp"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::testing::HasSubstr;

/// tool [--verbose] copy {fast [--level N], slow}
void add_sample_commands(CLI::App& app) {
  app.add_flag("--verbose");
  CLI::App* copy = app.add_subcommand("copy", "Copy things: it's easy");
  copy->add_subcommand("fast", "Quickly")->add_option("--level", "How fast");
  copy->add_subcommand("slow", "Slowly");
}

std::string bash_completes(const std::vector<std::string>& words) {
  CLI::App app{"A tool", "tool"};
  add_sample_commands(app);
  TemporaryFolder folder;
  std::string script = bash_completion(app) + "\nCOMP_WORDS=(";
  for (const auto& word : words) script += "'" + word + "' ";
  script += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) +
            "\n_tool\necho \"${COMPREPLY[@]}\" > " + (folder.path() / "reply").string() + "\n";
  const auto path = folder.write("complete.bash", script);
  EXPECT_EQ(std::system(("bash " + path.string()).c_str()), 0);
  std::ifstream reply{folder.path() / "reply"};
  std::string line;
  std::getline(reply, line);
  return line;
}

TEST(BashCompletion, OffersSubcommandsAndOptions) {
  EXPECT_EQ(bash_completes({"tool", "c"}), "copy");
  EXPECT_EQ(bash_completes({"tool", "copy", "s"}), "slow");
  EXPECT_EQ(bash_completes({"tool", "copy", "fast", "--l"}), "--level");
  EXPECT_EQ(bash_completes({"tool", "--verbose", "copy", "f"}), "fast");
}

TEST(BashCompletion, StillOffersOptionsBehindTheValueOfOne) {
  EXPECT_EQ(bash_completes({"tool", "copy", "fast", "--level", "9", "--le"}), "--level");
}

TEST(ZshAndFishCompletion, ListEveryCommandWithItsHelp) {
  CLI::App app{"A tool", "tool"};
  add_sample_commands(app);
  EXPECT_THAT(zsh_completion(app),
              HasSubstr("'tool copy') candidates=( 'fast:Quickly' 'slow:Slowly'"));
  EXPECT_THAT(
      fish_completion(app),
      HasSubstr(
          "complete -c tool -f -n '__fish_use_subcommand' -a copy -d 'Copy things its easy'"));
  EXPECT_THAT(fish_completion(app), HasSubstr("-l level -r -d 'How fast'"));
}

}  // namespace
}  // namespace anomalyd::tools
