#include "daemon/runtime/http_client.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <limits>
#include <utility>
#include <vector>

#include "daemon/runtime/http_address.hpp"

namespace anomalyd::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::generic::stream_protocol;
using Request = http::request<http::string_body>;

constexpr std::uint64_t kMaxReplyBytes = 256U << 20U;

/// One request and its reply: connect, write, read, each in the callback of the last.
class Exchange {
 public:
  explicit Exchange(Request request) : request_{std::move(request)} {
    reply_.body_limit(kMaxReplyBytes);
  }

  void run(const HttpAddress& address, std::chrono::milliseconds timeout) {
    std::vector<stream_protocol::endpoint> endpoints;
    if (address.is_unix()) {
      endpoints.emplace_back(asio::local::stream_protocol::endpoint{address.socket});
    } else {
      asio::ip::tcp::resolver resolver{io_};
      for (const auto& found : resolver.resolve(address.host, address.port, error_)) {
        endpoints.emplace_back(found.endpoint());
      }
      if (error_) return;
    }
    stream_.expires_after(timeout);
    stream_.async_connect(endpoints, [this](beast::error_code error, const auto&) {
      if (!failed(error)) write();
    });
    io_.run();
  }

  [[nodiscard]] const beast::error_code& error() const { return error_; }
  [[nodiscard]] HttpReply take_reply() {
    auto reply = reply_.release();
    return {static_cast<int>(reply.result_int()), std::move(reply.body())};
  }

 private:
  void write() {
    http::async_write(stream_, request_, [this](beast::error_code error, std::size_t) {
      // Who refuses a request may answer before it has read all of it.
      write_error_ = error;
      read();
    });
  }
  void read() {
    http::async_read(stream_, buffer_, reply_, [this](beast::error_code error, std::size_t) {
      (void)failed(error && write_error_ ? write_error_ : error);
    });
  }
  bool failed(beast::error_code error) {
    error_ = error;
    return error_.failed();
  }

  asio::io_context io_;
  beast::basic_stream<stream_protocol> stream_{io_};
  beast::flat_buffer buffer_;
  Request request_;
  http::response_parser<http::string_body> reply_;
  beast::error_code error_;
  beast::error_code write_error_;
};

Result<HttpReply> exchange(const std::string& address, Request request,
                           std::chrono::milliseconds timeout) {
  const auto where = HttpAddress::parse(address);
  if (!where) return Failure{where.error()};
  const std::string url =
      where->is_unix() ? address : "http://" + address + std::string{request.target()};
  request.version(11);
  request.set(http::field::host, where->is_unix() ? "localhost" : address);
  request.set(http::field::connection, "close");
  request.prepare_payload();
  try {
    Exchange one{std::move(request)};
    one.run(*where, timeout);
    if (one.error()) {
      return fail(ErrorKind::kUnavailable,
                  url + ": " + one.error().message() + "; expected a running anomalyd there");
    }
    return one.take_reply();
  } catch (const std::exception& error) {
    return fail(ErrorKind::kUnavailable, url + ": " + error.what());
  }
}

}  // namespace

Result<HttpReply> http_get(const std::string& address, const std::string& path,
                           std::chrono::milliseconds timeout) {
  return exchange(address, Request{http::verb::get, path, 11}, timeout);
}

Result<HttpReply> http_post(const std::string& address, const std::string& path, HttpBody body,
                            std::chrono::milliseconds timeout) {
  Request request{http::verb::post, path, 11};
  request.set(http::field::content_type, body.content_type);
  request.body() = std::move(body.bytes);
  return exchange(address, std::move(request), timeout);
}

}  // namespace anomalyd::runtime
