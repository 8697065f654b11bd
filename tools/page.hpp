#pragma once

#include <string>
#include <string_view>

namespace anomalyd::tools {

// Pages that load nothing from elsewhere; data goes where they say @DATA@.
extern const std::string_view kReportPage;     // report_page.html
extern const std::string_view kEmbeddingPage;  // embedding_page.html

/// JSON as text for a <script> element, which nothing but its end tag and a comment can leave.
[[nodiscard]] inline std::string for_script(std::string_view json) {
  std::string safe;
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";  // only strings hold one
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace anomalyd::tools
