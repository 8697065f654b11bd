#include "config/yaml.hpp"

#include <gmock/gmock.h>

namespace anomalyd::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

auto problem(int line, int column, const std::string& what) {
  return ElementsAre(AllOf(Field(&Problem::line, line), Field(&Problem::column, column),
                           Field(&Problem::what, HasSubstr(what))));
}

TEST(ParseYaml, KeepsPlacesAndRepeatedKeys) {
  const YamlDocument document = parse_yaml("a: 1\nb:\n  - x\na: ~\n");
  EXPECT_THAT(document.problems, IsEmpty());
  const auto& entries = document.root.children;
  ASSERT_THAT(entries, SizeIs(3));
  EXPECT_EQ(entries[0].key, "a");
  EXPECT_EQ(entries[0].mark.column, 4);
  EXPECT_EQ(entries[1].children[0].text, "x");
  EXPECT_EQ(entries[1].children[0].mark.line, 3);
  EXPECT_EQ(entries[2].key, "a");
  EXPECT_EQ(entries[2].key_mark.line, 4);
  EXPECT_EQ(entries[2].kind, YamlNode::Kind::kNull);
}

TEST(ParseYaml, TakesAnEmptyTextForNothing) {
  EXPECT_EQ(parse_yaml("").root.kind, YamlNode::Kind::kNull);
  EXPECT_EQ(parse_yaml("# only a comment\n").root.kind, YamlNode::Kind::kNull);
}

TEST(ParseYaml, RefusesWhatIsNotYaml) {
  EXPECT_THAT(parse_yaml("a: [1, 2\n").problems, problem(2, 1, "not valid YAML: "));
  EXPECT_THAT(parse_yaml("a: 1\n\tb: 2\n").problems, SizeIs(1));
}

TEST(ParseYaml, RefusesAliases) {
  EXPECT_THAT(parse_yaml("a: &x 1\nb: *x\n").problems,
              problem(2, 4, "found an alias; expected the value written out"));
}

TEST(ParseYaml, RefusesTagsWhichWouldSwallowAText) {
  EXPECT_THAT(parse_yaml("a: !b\n").problems, problem(1, 4, "found a tag, which begins with '!'"));
  EXPECT_THAT(parse_yaml("a: !!str 1\n").problems, SizeIs(1));
  EXPECT_THAT(parse_yaml("a: !x [1]\n").problems, SizeIs(1));
  EXPECT_THAT(parse_yaml("a: '!b'\n").problems, IsEmpty());
}

TEST(ParseYaml, RefusesKeysThatAreNotNames) {
  EXPECT_THAT(parse_yaml("? [a]\n: 1\n").problems, problem(1, 3, "a key that is not a name"));
  EXPECT_THAT(parse_yaml("~: 1\n").problems, problem(1, 1, "a key without a name"));
}

TEST(ParseYaml, RefusesASecondDocument) {
  EXPECT_THAT(parse_yaml("a: 1\n---\nb: 1\n").problems,
              problem(3, 1, "a second document; expected only one"));
}

TEST(ParseYaml, RefusesWhatIsTooLargeDeepOrBinary) {
  EXPECT_THAT(parse_yaml(std::string(2'000'000, ' ')).problems,
              problem(0, 0, "too large; expected at most 1048576 bytes"));
  EXPECT_THAT(parse_yaml("a:\n  " + std::string(20, '[') + std::string(20, ']')).problems,
              problem(2, 10, "nested too deeply; expected at most 8 levels"));
  EXPECT_THAT(parse_yaml(std::string(100'000, '[')).problems, SizeIs(1));
  std::string many = "a: [";
  for (int i = 0; i < 60'000; ++i) many += "1,";
  EXPECT_THAT(parse_yaml(many + "]").problems, problem(1, 100'003, "expected at most 50000"));
  EXPECT_THAT(parse_yaml(std::string_view{"a: 1\nb: \0", 9}).problems,
              problem(2, 4, "byte 0x00; expected text in UTF-8"));
}

TEST(YamlScalar, ReadsBackAsTheSameText) {
  for (const std::string text :
       {"plain", "", "a: b", "#no", "null", "~", "\"quoted\"", "two\nlines", "^x.*", "${X}",
        " padded ", "- item", "*star", "10%"}) {
    EXPECT_EQ(parse_yaml("k: " + yaml_scalar(text)).root.children[0].text, text);
  }
}

}  // namespace
}  // namespace anomalyd::config
