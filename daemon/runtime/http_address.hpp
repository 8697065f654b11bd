#pragma once

#include <string>
#include <string_view>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

/// Where an HTTP server listens: host:port, or unix:PATH.
struct HttpAddress {
  std::string host;    ///< Without brackets; empty for a Unix socket.
  std::string port;    ///< Digits or a name of a service.
  std::string socket;  ///< Path of a Unix socket; empty for a host.

  /// Errors: kInvalid.
  [[nodiscard]] static Result<HttpAddress> parse(std::string_view text);
  [[nodiscard]] bool is_unix() const { return !socket.empty(); }
};

/// Whether the value of a Host header is an IP address or localhost, each perhaps with a port: a
/// page whose name was made to point here sends that name.
[[nodiscard]] bool is_address_or_localhost(std::string_view host_header);

}  // namespace anomalyd::runtime
