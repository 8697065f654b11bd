// A configuration may come from a template that went wrong, or from somebody who should not write
// one. Whatever loads without a problem must also print as YAML that loads again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/describe.hpp"
#include "config/load.hpp"

namespace {

using namespace anomalyd;

// Neither the environment nor the files of the host that fuzzes.
config::Context closed_world() {
  return {.surroundings = {.variable = [](const std::string& name) -> std::optional<std::string> {
                             if (name.size() > 4) return std::nullopt;
                             return name;
                           },
                           .file = [](const std::string& path) -> Result<std::string> {
                             if (path.size() > 4) return fail(ErrorKind::kInvalid, "no such file");
                             return path;
                           }}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view yaml{reinterpret_cast<const char*>(data), size};
  const config::Context context = closed_world();
  const config::Loaded loaded = config::load(yaml, "fuzz.yaml", context);
  if (!loaded.problems.empty()) {
    if (config::format_problems(loaded.problems, loaded.file).empty()) std::abort();
    return 0;
  }
  const std::string page = config::print(loaded);
  const bool masked = page.find(config::kMask) != std::string::npos;
  if (!masked && !config::load(page, "printed.yaml", context).problems.empty()) std::abort();
  return 0;
}
