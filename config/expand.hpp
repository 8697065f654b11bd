#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::config {

/// What a configuration may refer to outside its file. Tests bring their own.
struct Surroundings {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<Result<std::string>(const std::string& path)> file;
};

/// The environment and the files of this process. A file is at most 64 KiB; a newline at its end
/// is not part of the value.
[[nodiscard]] Surroundings process_surroundings();

/// A text with its references replaced.
struct Expanded {
  std::string text;
  std::vector<std::string> sources;  ///< "environment HOME", "file /run/secret"; in order.
  bool secret = false;               ///< From a file, or from a variable that looks secret.
};

/// Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}`; `$${` gives a plain `${`.
///
/// What comes in is not expanded again. Errors: kInvalid for a variable that is not set and has no
/// default, a file that cannot be read, a reference without its end.
[[nodiscard]] Result<Expanded> expand(std::string_view text, const Surroundings& surroundings);

}  // namespace anomalyd::config
