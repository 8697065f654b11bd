#include "daemon/runtime/admin_server.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace anomalyd::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t kMaxRequestBytes = 8 * 1024;
constexpr std::chrono::seconds kTimeLimit{10};

std::optional<tcp::endpoint> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string host{text.substr(0, colon)};
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  boost::system::error_code ignored;
  const auto address = asio::ip::make_address(host, ignored);
  if (ignored) return std::nullopt;
  return tcp::endpoint{address, port};
}

/// One connection: reads a request, answers, and goes on while the client keeps it alive.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const std::map<std::string, AdminServer::Handler>& pages)
      : stream_{std::move(socket)}, pages_{pages} {}

  void read() {
    parser_.emplace();
    parser_->body_limit(kMaxRequestBytes);
    parser_->header_limit(kMaxRequestBytes);
    stream_.expires_after(kTimeLimit);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    const auto& request = parser_->get();
    AdminServer::Page page;
    std::string target{request.target()};
    if (const auto query = target.find('?'); query != std::string::npos) target.resize(query);
    const auto handler = pages_.find(target);
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      page = {405, "text/plain; charset=utf-8", "only GET and HEAD are answered here\n"};
    } else if (handler == pages_.end()) {
      page = {404, "text/plain; charset=utf-8", "no such page; there are:"};
      for (const auto& [path, ignored] : pages_) page.body += " " + path;
      page.body += "\n";
    } else {
      page = handler->second();
    }
    response_ = {};
    response_.version(request.version());
    response_.result(page.status);
    response_.set(http::field::content_type, page.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(request.keep_alive());
    response_.content_length(page.body.size());
    if (request.method() == http::verb::get) response_.body() = std::move(page.body);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error) return;
                        if (self->response_.keep_alive()) return self->read();
                        beast::error_code ignored;
                        self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
                      });
  }

  beast::tcp_stream stream_;
  const std::map<std::string, AdminServer::Handler>& pages_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::listen(asio::io_context& control,
                                                         const Options& options,
                                                         std::map<std::string, Handler> pages) {
  const auto endpoint = parse_address(options.listen);
  if (!endpoint) {
    return fail(ErrorKind::kInvalid, "http.listen: found '" + options.listen +
                                         "'; expected host:port, such as 127.0.0.1:9464");
  }
  boost::system::error_code error;
  tcp::acceptor acceptor{control};
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(ErrorKind::kInvalid,
                "http.listen: cannot listen on " + options.listen + ": " + error.message());
  }
  std::unique_ptr<AdminServer> server{
      new AdminServer{control, std::move(acceptor), std::move(pages)}};
  server->accept();
  return server;
}

AdminServer::AdminServer(asio::io_context& control, tcp::acceptor acceptor,
                         std::map<std::string, Handler> pages)
    : control_{control}, acceptor_{std::move(acceptor)}, pages_{std::move(pages)} {}

std::string AdminServer::address() const {
  const tcp::endpoint endpoint = acceptor_.local_endpoint();
  return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

void AdminServer::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

void AdminServer::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) std::make_shared<Session>(std::move(socket), pages_)->read();
    accept();
  });
}

}  // namespace anomalyd::runtime
