#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/core/result.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Serves pages about the daemon over HTTP, and takes commands: health, status, metrics by GET;
/// what changes something by POST. On host:port or on a Unix socket.
///
/// Runs on   the io_context it is given; handlers run there too and must not block.
/// Safety    bound to loopback unless configured otherwise; a request is limited to 8 KiB, its
///           body to what the command takes, and to 10 s between two pieces of it.
/// Commands  come over the Unix socket, or from this host to an address of loopback, unless
///           `remote_commands` says otherwise. A page in a browser of this host cannot send one:
///           a request with an Origin, a Host that is a name other than localhost, or a content
///           type that a form can have is refused.
class AdminServer {
 public:
  using Options = HttpOptions;
  struct Page {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  using Handler = std::function<Page()>;
  /// Gives the answer to a command; once, on the io_context, at any time.
  using Answer = std::function<void(Page)>;
  /// What is done at a path when something is posted to it.
  struct Command {
    std::string content_type = "application/json";  ///< Of the body; anything else is refused.
    std::size_t max_bytes = 8 * 1024;               ///< Of the body.
    std::function<void(std::string body, Answer answer)> run;
  };
  struct Routes {
    std::map<std::string, Handler> pages;       ///< By path, for GET and HEAD.
    std::map<std::string, Command> commands{};  ///< By path, for POST.
  };

  /// A socket file that no process listens on is replaced; a new one has the mode 0660. Errors:
  /// kInvalid when the address cannot be parsed or bound; the message names it.
  static Result<std::unique_ptr<AdminServer>> listen(boost::asio::io_context& control,
                                                     const Options& options, Routes routes);
  /// Removes the socket file.
  ~AdminServer();

  /// host:port or unix:PATH that it listens on.
  [[nodiscard]] const std::string& address() const { return address_; }
  void close();

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;
  AdminServer(Acceptor acceptor, std::string address, const Options& options, Routes routes);
  void accept();

  Acceptor acceptor_;
  const std::string address_;
  const Options options_;
  const Routes routes_;
};

}  // namespace anomalyd::runtime
