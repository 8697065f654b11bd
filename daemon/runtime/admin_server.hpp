#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "daemon/core/result.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Serves GET requests about the daemon over HTTP: health, readiness, status, metrics.
///
/// Runs on   the io_context it is given; handlers of pages run there too and must not block.
/// Safety    bound to loopback unless configured otherwise; requests are limited to 8 KiB and
///           10 s; only GET and HEAD are answered.
class AdminServer {
 public:
  using Options = HttpOptions;
  struct Page {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  using Handler = std::function<Page()>;

  /// Errors: kInvalid when the address cannot be parsed or bound; the message names it.
  static Result<std::unique_ptr<AdminServer>> listen(boost::asio::io_context& control,
                                                     const Options& options,
                                                     std::map<std::string, Handler> pages);

  /// host:port it listens on.
  [[nodiscard]] std::string address() const;
  void close();

 private:
  AdminServer(boost::asio::io_context& control, boost::asio::ip::tcp::acceptor acceptor,
              std::map<std::string, Handler> pages);
  void accept();

  boost::asio::io_context& control_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::map<std::string, Handler> pages_;
};

}  // namespace anomalyd::runtime
