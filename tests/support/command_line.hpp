#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace anomalyd::testing {

/// What a program printed, on both channels, and how it ended.
struct Ran {
  int code = -1;
  std::string said;
};

/// Runs anomalyctl with these arguments, as a shell would.
inline Ran anomalyctl(const std::string& arguments) {
  const std::string line = std::string{ANOMALYCTL} + " " + arguments + " 2>&1 < /dev/null";
  std::FILE* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error{"cannot run " + line};
  Ran ran;
  std::array<char, 4096> piece{};
  for (std::size_t n = 0; (n = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    ran.said.append(piece.data(), n);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.code = WEXITSTATUS(status);
  return ran;
}

}  // namespace anomalyd::testing
