#pragma once

#include <chrono>
#include <string>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

/// An answer to an HTTP request.
struct HttpReply {
  int status = 0;  ///< 200, 503, ...
  std::string body;
};

/// Fetches `path` from `address` ("127.0.0.1:9464", "unix:/run/anomalyd/control.sock"), waiting at
/// most `timeout`. Blocks.
///
/// Errors: kUnavailable when nobody answers there, kInvalid when `address` is none.
[[nodiscard]] Result<HttpReply> http_get(const std::string& address, const std::string& path,
                                         std::chrono::milliseconds timeout);

/// What is posted.
struct HttpBody {
  std::string content_type = "application/json";
  std::string bytes;
};

/// Posts `body` to `path`; otherwise as http_get.
[[nodiscard]] Result<HttpReply> http_post(const std::string& address, const std::string& path,
                                          HttpBody body, std::chrono::milliseconds timeout);

}  // namespace anomalyd::runtime
