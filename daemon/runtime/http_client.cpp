#include "daemon/runtime/http_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace anomalyd::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

/// One request and its reply: resolve, connect, write, read, each in the callback of the last.
class Exchange {
 public:
  Exchange(const std::string& host, const std::string& path) {
    request_.method(http::verb::get);
    request_.target(path);
    request_.version(11);
    request_.set(http::field::host, host);
    request_.set(http::field::connection, "close");
  }

  void run(const std::string& host, const std::string& port, std::chrono::milliseconds timeout) {
    stream_.expires_after(timeout);
    asio::ip::tcp::resolver resolver{io_};
    beast::error_code resolve_error;
    const auto endpoints = resolver.resolve(host, port, resolve_error);
    if (resolve_error) {
      error_ = resolve_error;
      return;
    }
    stream_.async_connect(endpoints, [this](beast::error_code error, const auto&) {
      if (!failed(error)) write();
    });
    io_.run();
  }

  [[nodiscard]] const beast::error_code& error() const { return error_; }
  [[nodiscard]] HttpReply take_reply() {
    return {static_cast<int>(reply_.result_int()), std::move(reply_.body())};
  }

 private:
  void write() {
    http::async_write(stream_, request_, [this](beast::error_code error, std::size_t) {
      if (!failed(error)) read();
    });
  }
  void read() {
    http::async_read(stream_, buffer_, reply_,
                     [this](beast::error_code error, std::size_t) { (void)failed(error); });
  }
  bool failed(beast::error_code error) {
    error_ = error;
    return error_.failed();
  }

  asio::io_context io_;
  beast::tcp_stream stream_{io_};
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response<http::string_body> reply_;
  beast::error_code error_;
};

}  // namespace

Result<HttpReply> http_get(const std::string& address, const std::string& path,
                           std::chrono::milliseconds timeout) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return fail(ErrorKind::kInvalid,
                "address '" + address + "'; expected host:port, for example 127.0.0.1:9464");
  }
  try {
    Exchange exchange{address, path};
    exchange.run(address.substr(0, colon), address.substr(colon + 1), timeout);
    if (exchange.error()) {
      return fail(ErrorKind::kUnavailable, "http://" + address + path + ": " +
                                               exchange.error().message() +
                                               "; expected a running anomalyd there");
    }
    return exchange.take_reply();
  } catch (const std::exception& error) {
    return fail(ErrorKind::kUnavailable, "http://" + address + path + ": " + error.what());
  }
}

}  // namespace anomalyd::runtime
