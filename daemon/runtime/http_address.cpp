#include "daemon/runtime/http_address.hpp"

#include <boost/asio/ip/address.hpp>

namespace anomalyd::runtime {
namespace {

constexpr std::string_view kUnix = "unix:";

std::string without_brackets(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return std::string{host};
}

}  // namespace

Result<HttpAddress> HttpAddress::parse(std::string_view text) {
  if (text.starts_with(kUnix) && text.size() > kUnix.size()) {
    return HttpAddress{.host = {}, .port = {}, .socket = std::string{text.substr(kUnix.size())}};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size() ||
      text.starts_with(kUnix)) {
    return fail(ErrorKind::kInvalid,
                "address '" + std::string{text} +
                    "'; expected host:port such as 127.0.0.1:9464, or unix:/path/of/a/socket");
  }
  return HttpAddress{.host = without_brackets(text.substr(0, colon)),
                     .port = std::string{text.substr(colon + 1)},
                     .socket = {}};
}

bool is_address_or_localhost(std::string_view host_header) {
  std::string_view host = host_header;
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.find(']', colon) == host.npos &&
                        (host.front() == '[' || host.find(':') == colon);
  if (has_port) host = host.substr(0, colon);
  if (host == "localhost") return true;
  boost::system::error_code error;
  boost::asio::ip::make_address(without_brackets(host), error);
  return !error;
}

}  // namespace anomalyd::runtime
