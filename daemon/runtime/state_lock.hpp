#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

/// Keeps the state folder for one process: the file `lock` in it, held as long as this lives.
///
/// The system frees it when the process ends, however it ends. The file itself stays. It says who
/// holds it, so that anomalyctl finds the daemon of a folder.
class StateLock {
 public:
  struct Holder {
    int process = 0;      ///< 0 if unknown.
    std::string program;  ///< "anomalyd", "anomalyctl".
    std::string http;     ///< Address of its HTTP server; empty without one.
  };

  /// Makes the folder if need be. Errors: kUnavailable while another process holds it (it is
  /// named: the predecessor may still be stopping), kInvalid when the folder cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<StateLock>> acquire(
      const std::filesystem::path& state_dir, std::string program);
  /// Who holds the folder; nullopt when nobody does. Changes nothing. Errors: kInvalid when this
  /// user may not look.
  [[nodiscard]] static Result<std::optional<Holder>> holder(const std::filesystem::path& state_dir);

  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

  /// Tells where its holder answers. Errors: kInvalid, kExhausted.
  [[nodiscard]] Status announce(const std::string& http_address);

 private:
  StateLock(int file, std::filesystem::path path, std::string program);
  const int file_;
  const std::filesystem::path path_;
  const std::string program_;
};

}  // namespace anomalyd::runtime
