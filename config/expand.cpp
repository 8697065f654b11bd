#include "config/expand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "config/problem.hpp"

namespace anomalyd::config {
namespace {

constexpr std::size_t kMaxFileBytes = 64 << 10;
constexpr std::string_view kFile = "file:";
constexpr std::string_view kDefault = ":-";

Result<std::string> read_small_file(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);  // fails on what is not a plain file
  if (error) {
    return fail(ErrorKind::kInvalid, fmt::format("'{}': {}", path, error.message()));
  }
  if (size > kMaxFileBytes) {
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}': {} bytes; expected at most {}", path, size, kMaxFileBytes));
  }
  std::ifstream stream{path, std::ios::binary};
  std::string text(size, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(size))) {
    return fail(ErrorKind::kInvalid, fmt::format("'{}': cannot be read", path));
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  });
}

// Appends what `reference`, the text between the braces, stands for.
Status append(std::string_view reference, const Surroundings& surroundings, Expanded& out) {
  if (reference.starts_with(kFile)) {
    const std::string path{reference.substr(kFile.size())};
    auto content = surroundings.file(path);
    if (!content) return fail(std::move(content).error(), "reading a file");
    out.text += *content;
    out.sources.push_back("file " + path);
    out.secret = true;
    return {};
  }
  const std::size_t split = reference.find(kDefault);
  const std::string name{reference.substr(0, split)};
  if (!is_name(name)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("'${{{}}}' is no reference; expected ${{NAME}}, ${{NAME:-default}} or "
                            "${{file:/path}} ($${{ for a plain ${{)",
                            reference));
  }
  if (const auto value = surroundings.variable(name)) {
    out.text += *value;
    out.sources.push_back("environment " + name);
    out.secret = out.secret || looks_secret(name);
    return {};
  }
  if (split == std::string_view::npos) {
    return fail(ErrorKind::kInvalid,
                fmt::format("environment variable '{0}' is not set; expected a value, or a default "
                            "as in ${{{0}:-default}}",
                            name));
  }
  out.text += reference.substr(split + kDefault.size());
  return {};
}

}  // namespace

Surroundings process_surroundings() {
  return {.variable = [](const std::string& name) -> std::optional<std::string> {
            const char* value = std::getenv(name.c_str());  // before any thread starts
            return value == nullptr ? std::nullopt : std::optional<std::string>{value};
          },
          .file = read_small_file};
}

Result<Expanded> expand(std::string_view text, const Surroundings& surroundings) {
  Expanded out;
  while (!text.empty()) {
    const std::size_t begin = text.find("${");
    if (begin == std::string_view::npos) {
      out.text += text;
      break;
    }
    if (begin > 0 && text[begin - 1] == '$') {  // "$${": drop one dollar
      out.text += text.substr(0, begin);
      out.text += '{';
      text.remove_prefix(begin + 2);
      continue;
    }
    const std::size_t end = text.find('}', begin);
    if (end == std::string_view::npos) {
      return fail(ErrorKind::kInvalid, "'${' without its end; expected '}'");
    }
    out.text += text.substr(0, begin);
    const Status status = append(text.substr(begin + 2, end - begin - 2), surroundings, out);
    if (!status) return Failure{status.error()};
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace anomalyd::config
