#include "config/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

namespace anomalyd::config {
namespace {

constexpr std::size_t kMaxNodes = 50'000;
constexpr std::size_t kMaxDepth = 8;

Mark place(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// Builds the tree from the parser's events. Throws YAML::Exception, as the parser itself does, on
// what we do not take.
class TreeBuilder final : public YAML::EventHandler {
 public:
  [[nodiscard]] YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    add({.kind = YamlNode::Kind::kNull, .mark = place(mark)}, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw YAML::ParserException(mark, "found an alias; expected the value written out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    refuse_tag(mark, tag);
    add({.kind = YamlNode::Kind::kScalar, .mark = place(mark), .text = value}, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    refuse_tag(mark, tag);
    open({.kind = YamlNode::Kind::kList, .mark = place(mark)}, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    refuse_tag(mark, tag);
    open({.kind = YamlNode::Kind::kMap, .mark = place(mark)}, mark);
  }
  void OnMapEnd() override { close(); }

 private:
  // A text that begins with ! and was meant as it is would be lost. The parser itself gives "?" to
  // plain values and "!" to quoted ones.
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw YAML::ParserException(mark,
                                "found a tag, which begins with '!'; expected quotes around it");
  }

  struct Level {
    YamlNode node;
    YamlNode key;  // of the value to come; kNull while a key is expected
  };

  [[nodiscard]] bool key_expected() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap &&
           open_.back().key.kind == YamlNode::Kind::kNull;
  }

  void add(YamlNode node, const YAML::Mark& mark) {
    if (++num_nodes_ > kMaxNodes) {
      throw YAML::ParserException(mark,
                                  fmt::format("too many values; expected at most {}", kMaxNodes));
    }
    if (!key_expected()) return place_value(std::move(node));
    if (node.kind != YamlNode::Kind::kScalar) {
      throw YAML::ParserException(mark, "a key without a name; expected 'name: value'");
    }
    open_.back().key = std::move(node);
  }

  void open(YamlNode node, const YAML::Mark& mark) {
    if (key_expected()) {
      throw YAML::ParserException(mark, "a key that is not a name; expected 'name: value'");
    }
    if (open_.size() == kMaxDepth) {
      throw YAML::ParserException(
          mark, fmt::format("nested too deeply; expected at most {} levels", kMaxDepth));
    }
    open_.push_back({std::move(node), {}});
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    place_value(std::move(node));
  }

  void place_value(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = open_.back();
    node.key = std::move(level.key.text);
    node.key_mark = level.key.mark;
    level.key = {};
    level.node.children.push_back(std::move(node));
  }

  YamlNode root_;
  std::vector<Level> open_;
  std::size_t num_nodes_ = 0;
};

Problem problem_at(Mark mark, std::string what) {
  return {.line = mark.line, .column = mark.column, .path = {}, .what = std::move(what)};
}

// yaml-cpp takes some control characters for the end of the file, and would drop the rest of it.
std::vector<Problem> check_bytes(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return {problem_at({}, fmt::format("too large; expected at most {} bytes", kMaxYamlBytes))};
  }
  Mark mark{1, 1};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x20 || c == '\n' || c == '\t' || c == '\r';
    if (!plain || byte >= 0xFE) {
      return {problem_at(mark, fmt::format("byte 0x{:02x}; expected text in UTF-8", byte))};
    }
    mark = c == '\n' ? Mark{mark.line + 1, 1} : Mark{mark.line, mark.column + 1};
  }
  return {};
}

}  // namespace

YamlDocument parse_yaml(std::string_view text) {
  YamlDocument document{.root = {}, .problems = check_bytes(text)};
  if (!document.problems.empty()) return document;
  try {
    std::istringstream stream{std::string{text}};
    YAML::Parser parser{stream};
    TreeBuilder builder;
    parser.HandleNextDocument(builder);
    document.root = builder.take();
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      const Mark start = second.take().mark;
      document.problems.push_back(problem_at(start, "a second document; expected only one"));
    }
  } catch (const YAML::Exception& error) {
    const bool known = !error.mark.is_null();
    document.problems.push_back(
        problem_at(known ? place(error.mark) : Mark{}, "not valid YAML: " + error.msg));
  } catch (const std::exception& error) {
    document.problems.push_back(problem_at({}, fmt::format("not valid YAML: {}", error.what())));
  }
  return document;
}

std::string yaml_scalar(const std::string& text) {
  YAML::Emitter emitter;
  emitter << text;
  return emitter.c_str();
}

}  // namespace anomalyd::config
