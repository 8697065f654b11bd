#include "daemon/runtime/admin_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/runtime/http_address.hpp"

namespace anomalyd::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace fs = std::filesystem;
namespace http = beast::http;
using asio::generic::stream_protocol;
using tcp = asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<stream_protocol>;
using Page = AdminServer::Page;

constexpr std::size_t kMaxRequestBytes = 8 * 1024;
constexpr std::chrono::seconds kTimeLimit{10};
constexpr mode_t kSocketMode = 0660;

Page refusal(unsigned status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", std::move(sentence) + "\n"};
}

/// The address of an endpoint, if it is one of IP.
std::optional<asio::ip::address> address_of(const stream_protocol::endpoint& endpoint) {
  if (endpoint.protocol().family() != AF_INET && endpoint.protocol().family() != AF_INET6) {
    return std::nullopt;
  }
  tcp::endpoint ip;
  ip.resize(endpoint.size());
  std::memcpy(ip.data(), endpoint.data(), endpoint.size());
  return ip.address();
}

bool is_loopback(asio::ip::address address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return address.is_loopback();
}

/// Whether both ends of a connection are on this host and on no network.
bool is_local(const stream_protocol::socket& socket) {
  boost::system::error_code error;
  const auto local = socket.local_endpoint(error);
  if (!error && local.protocol().family() == AF_UNIX) return true;
  const auto remote = socket.remote_endpoint(error);
  if (error) return false;
  const auto here = address_of(local), there = address_of(remote);
  return here && there && is_loopback(*here) && is_loopback(*there);
}

/// One connection: reads a request, answers, and goes on while the client keeps it alive.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(stream_protocol::socket socket, const AdminServer::Routes& routes,
          const AdminServer::Options& options)
      : stream_{std::move(socket)}, routes_{routes}, options_{options} {}

  void read() {
    parser_.emplace();
    command_ = nullptr;
    parser_->header_limit(kMaxRequestBytes);
    parser_->body_limit(boost::none);  // it depends on the header
    stream_.expires_after(kTimeLimit);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (!error) self->on_header();
                            });
  }

 private:
  using Request = http::request<http::string_body>;

  void on_header() {
    const Request& request = parser_->get();
    if (request.method() == http::verb::post) {
      command_ = find(routes_.commands, request);
      refused_ = refuse_command(request);
    }
    // A short body is read also of who is refused: a client that still sends would see no answer.
    const std::size_t limit =
        refused_ || command_ == nullptr ? kMaxRequestBytes : command_->max_bytes;
    if (const auto bytes = parser_->content_length(); bytes && *bytes > limit) {
      return send_and_close(refused_ ? std::move(*refused_) : refusal(413, too_large()));
    }
    parser_->body_limit(limit);
    read_body();
  }

  void read_body() {
    if (parser_->is_done()) return on_request();
    stream_.expires_after(kTimeLimit);
    http::async_read_some(stream_, buffer_, *parser_,
                          [self = shared_from_this()](beast::error_code error, std::size_t) {
                            if (error == http::error::body_limit) {
                              return self->send_and_close(refusal(413, self->too_large()));
                            }
                            if (!error) self->read_body();
                          });
  }

  void on_request() {
    const Request& request = parser_->get();
    if (refused_) return send(std::move(*std::exchange(refused_, std::nullopt)));
    if (request.method() == http::verb::post) return run_command();
    const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
    const AdminServer::Handler* page = find(routes_.pages, request);
    if (!reads) {
      send(refusal(405, "only GET, HEAD and POST are answered here"));
    } else if (page == nullptr && find(routes_.commands, request) != nullptr) {
      send(refusal(405, "only POST is answered at " + std::string{request.target()}));
    } else if (page == nullptr) {
      send(unknown_page());
    } else {
      send((*page)());
    }
  }

  void run_command() {
    stream_.expires_never();  // what a command takes is its own affair
    command_->run(std::move(parser_->get().body()),
                  [self = shared_from_this()](Page page) { self->send(std::move(page)); });
  }

  /// Why a command is not even read; nothing if it is.
  [[nodiscard]] std::optional<Page> refuse_command(const Request& request) const {
    if (command_ == nullptr) {
      const bool is_page = find(routes_.pages, request) != nullptr;
      return is_page ? refusal(405, "only GET and HEAD are answered at this page") : unknown_page();
    }
    if (!options_.remote_commands && !is_local(stream_.socket())) {
      return refusal(403,
                     "commands are taken from this host only, at a loopback address or a Unix "
                     "socket; see http.remote_commands");
    }
    if (request.find(http::field::origin) != request.end() ||
        request.find("Sec-Fetch-Site") != request.end()) {
      return refusal(403, "commands are not taken from pages in a browser");
    }
    const std::string host{request[http::field::host]};
    const bool is_unix = stream_.socket().local_endpoint().protocol().family() == AF_UNIX;
    if (!is_unix && !is_address_or_localhost(host)) {
      return refusal(403, "found Host '" + host + "'; expected an IP address or localhost");
    }
    std::string type{request[http::field::content_type]};
    type = type.substr(0, type.find(';'));
    if (type != command_->content_type) {
      return refusal(415, "found content type '" + type + "'; expected " + command_->content_type);
    }
    return std::nullopt;
  }

  [[nodiscard]] Page unknown_page() const {
    Page page = refusal(404, "no such page; there are:");
    page.body.pop_back();
    for (const auto& [path, ignored] : routes_.pages) page.body += " " + path;
    for (const auto& [path, ignored] : routes_.commands) page.body += " " + path;
    page.body += "\n";
    return page;
  }

  [[nodiscard]] std::string too_large() const {
    const std::size_t limit = command_ == nullptr ? kMaxRequestBytes : command_->max_bytes;
    return "the body is too large; expected at most " + std::to_string(limit) + " bytes";
  }

  template <typename Map>
  [[nodiscard]] static const typename Map::mapped_type* find(const Map& routes,
                                                             const Request& request) {
    std::string target{request.target()};
    if (const auto query = target.find('?'); query != std::string::npos) target.resize(query);
    const auto it = routes.find(target);
    return it == routes.end() ? nullptr : &it->second;
  }

  void send_and_close(Page page) {
    closes_ = true;
    send(std::move(page));
  }

  void send(Page page) {
    const Request& request = parser_->get();
    response_ = {};
    response_.version(request.version());
    response_.result(page.status);
    response_.set(http::field::content_type, page.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.keep_alive(request.keep_alive() && !closes_);
    response_.content_length(page.body.size());
    if (request.method() != http::verb::head) response_.body() = std::move(page.body);
    stream_.expires_after(kTimeLimit);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error) return;
                        if (self->response_.keep_alive()) return self->read();
                        beast::error_code ignored;
                        self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
                      });
  }

  beast::basic_stream<stream_protocol> stream_;
  const AdminServer::Routes& routes_;
  const AdminServer::Options& options_;
  const AdminServer::Command* command_ = nullptr;  // of the request, if it is a POST
  std::optional<Page> refused_;                    // what it will be told
  bool closes_ = false;                            // after the answer: its body was not read
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

/// What listens, and where.
struct Listening {
  Acceptor acceptor;
  std::string address;
};

Failure cannot_listen(const std::string& address, const std::string& why) {
  return fail(ErrorKind::kInvalid, "http.listen: cannot listen on " + address + ": " + why);
}

Result<Listening> listen_on_host(asio::io_context& control, const HttpAddress& address,
                                 const std::string& text) {
  std::uint16_t port = 0;
  const char* end = address.port.data() + address.port.size();
  const auto [stop, not_a_number] = std::from_chars(address.port.data(), end, port);
  boost::system::error_code error;
  const auto host =
      asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error || not_a_number != std::errc{} || stop != end) {
    return fail(ErrorKind::kInvalid, "http.listen: found '" + text +
                                         "'; expected host:port such as 127.0.0.1:9464, or "
                                         "unix:/path/of/a/socket");
  }
  tcp::acceptor acceptor{control};
  const tcp::endpoint endpoint{host, port};
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return cannot_listen(text, error.message());
  const tcp::endpoint bound = acceptor.local_endpoint();
  std::string name = bound.address().to_string();
  if (bound.address().is_v6()) name = "[" + name + "]";
  return Listening{Acceptor{std::move(acceptor)}, name + ":" + std::to_string(bound.port())};
}

/// Removes a socket file that nobody listens on. Says what stands in the way of that.
std::optional<std::string> remove_stale(asio::io_context& control, const std::string& path) {
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(path, ignored);
  if (!fs::exists(status)) return std::nullopt;
  if (!fs::is_socket(status)) return "found a file there that is no socket";
  boost::system::error_code error;
  asio::local::stream_protocol::socket probe{control};
  probe.connect(path, error);
  if (!error) return "another process listens there";
  if (error != asio::error::connection_refused) return error.message();
  ::unlink(path.c_str());
  return std::nullopt;
}

Result<Listening> listen_on_socket(asio::io_context& control, const std::string& path,
                                   const std::string& text) {
  constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kMaxPath) {
    return cannot_listen(text, "the path has " + std::to_string(path.size()) +
                                   " bytes; expected at most " + std::to_string(kMaxPath));
  }
  if (auto trouble = remove_stale(control, path)) return cannot_listen(text, *trouble);
  boost::system::error_code error;
  asio::local::stream_protocol::acceptor acceptor{control};
  acceptor.open(asio::local::stream_protocol{}, error);
  if (!error) acceptor.bind(path, error);
  // Nobody can connect before it listens, so the mode is right from the first moment on.
  if (!error && ::chmod(path.c_str(), kSocketMode) != 0) {
    error.assign(errno, boost::system::system_category());
  }
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return cannot_listen(text, error.message());
  return Listening{Acceptor{std::move(acceptor)}, "unix:" + path};
}

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::listen(asio::io_context& control,
                                                         const Options& options, Routes routes) {
  const auto address = HttpAddress::parse(options.listen);
  if (!address) return fail(Error{address.error()}, "http.listen");
  auto listening = address->is_unix() ? listen_on_socket(control, address->socket, options.listen)
                                      : listen_on_host(control, *address, options.listen);
  if (!listening) return Failure{std::move(listening.error())};
  std::unique_ptr<AdminServer> server{new AdminServer{
      std::move(listening->acceptor), std::move(listening->address), options, std::move(routes)}};
  server->accept();
  return server;
}

AdminServer::AdminServer(Acceptor acceptor, std::string address, const Options& options,
                         Routes routes)
    : acceptor_{std::move(acceptor)},
      address_{std::move(address)},
      options_{options},
      routes_{std::move(routes)} {}

AdminServer::~AdminServer() {
  close();
  const auto address = HttpAddress::parse(address_);
  if (address && address->is_unix()) ::unlink(address->socket.c_str());
}

void AdminServer::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

void AdminServer::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, stream_protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) std::make_shared<Session>(std::move(socket), routes_, options_)->read();
    accept();
  });
}

}  // namespace anomalyd::runtime
