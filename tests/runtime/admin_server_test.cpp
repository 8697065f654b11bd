#include "daemon/runtime/admin_server.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <thread>

#include "daemon/runtime/http_address.hpp"
#include "daemon/runtime/http_client.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using anomalyd::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

class AdminServerTest : public ::testing::Test {
 protected:
  void TearDown() override {
    asio::post(control_, [this] { server_.reset(); });
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }
  Result<std::unique_ptr<AdminServer>> try_to_listen(const HttpOptions& options) {
    AdminServer::Routes routes;
    routes.pages["/page"] = [] { return AdminServer::Page{200, "text/plain", "a page\n"}; };
    routes.commands["/echo"] = {.content_type = "application/json",
                                .max_bytes = 8 * 1024,
                                .run = [this](std::string body, AdminServer::Answer answer) {
                                  // As a command that takes its time: the answer comes later.
                                  asio::post(control_,
                                             [body = std::move(body), answer = std::move(answer)] {
                                               answer({200, "text/plain", "got " + body});
                                             });
                                }};
    routes.commands["/upload"] = {
        .content_type = "application/octet-stream",
        .max_bytes = 1 << 20,
        .run = [](const std::string& body, const AdminServer::Answer& answer) {
          answer({200, "text/plain", std::to_string(body.size())});
        }};
    return AdminServer::listen(control_, options, std::move(routes));
  }
  void listen(const HttpOptions& options) {
    auto server = try_to_listen(options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    thread_ = std::thread{[this] { control_.run(); }};
  }
  std::string post(const std::string& path, const std::string& body,
                   const std::string& type = "application/json") const {
    const auto reply = http_post(server_->address(), path, {type, body}, 5s);
    return reply ? std::to_string(reply->status) + " " + reply->body : reply.error().message;
  }
  /// Sends a request as it is and returns the first line of the answer and its body.
  std::string send(const std::string& request) const {
    asio::io_context io;
    asio::ip::tcp::socket socket{io};
    const auto address = HttpAddress::parse(server_->address()).value();
    socket.connect({asio::ip::make_address(address.host),
                    static_cast<std::uint16_t>(std::stoi(address.port))});
    asio::write(socket, asio::buffer(request));
    socket.shutdown(asio::ip::tcp::socket::shutdown_send);
    std::string answer;
    boost::system::error_code ignored;
    asio::read(socket, asio::dynamic_buffer(answer), ignored);
    return answer;
  }
  std::string command(const std::string& headers, const std::string& host = "127.0.0.1") const {
    return send("POST /echo HTTP/1.1\r\nHost: " + host + "\r\n" + headers +
                "Connection: close\r\nContent-Length: 2\r\n\r\n{}");
  }

  TemporaryFolder folder_;
  asio::io_context control_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{control_.get_executor()};
  std::unique_ptr<AdminServer> server_;
  std::thread thread_;
};

const std::string kJson = "Content-Type: application/json\r\n";

TEST_F(AdminServerTest, AnswersPagesAndRunsCommands) {
  listen({.listen = "127.0.0.1:0"});
  EXPECT_EQ(http_get(server_->address(), "/page?x=1", 5s)->body, "a page\n");
  EXPECT_EQ(post("/echo", "{\"a\":1}"), "200 got {\"a\":1}");
  EXPECT_EQ(post("/upload", std::string(300'000, 'x'), "application/octet-stream"), "200 300000");
  EXPECT_THAT(command(kJson), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("got {}")));
  EXPECT_THAT(command("Content-Type: application/json; charset=utf-8\r\n"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, TellsPagesAndCommandsApart) {
  listen({.listen = "127.0.0.1:0"});
  EXPECT_THAT(http_get(server_->address(), "/echo", 5s)->body, HasSubstr("only POST is answered"));
  EXPECT_THAT(post("/page", "{}"), StartsWith("405 only GET and HEAD"));
  EXPECT_EQ(post("/nothing", "{}"), "404 no such page; there are: /page /echo /upload\n");
  EXPECT_THAT(send("PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(send("OPTIONS /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 405"))
      << "what a browser asks before it posts JSON elsewhere";
}

TEST_F(AdminServerTest, TakesNoCommandFromAPageInABrowser) {
  listen({.listen = "127.0.0.1:0"});
  EXPECT_THAT(command(kJson + "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(command(kJson + "Origin: null\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(command(kJson + "Sec-Fetch-Site: same-origin\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(command("Content-Type: text/plain\r\n"),
              AllOf(StartsWith("HTTP/1.1 415"),
                    HasSubstr("found content type 'text/plain'; expected application/json")));
  EXPECT_THAT(command("Content-Type: application/x-www-form-urlencoded\r\n"),
              StartsWith("HTTP/1.1 415"));
  EXPECT_THAT(command(""), StartsWith("HTTP/1.1 415"));
}

TEST_F(AdminServerTest, TakesNoCommandUnderANameThatWasMadeToPointHere) {
  listen({.listen = "127.0.0.1:0"});
  EXPECT_THAT(command(kJson, "evil.example"),
              AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("found Host 'evil.example'")));
  EXPECT_THAT(command(kJson, "127.0.0.1.evil.example:9464"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(command(kJson, ""), StartsWith("HTTP/1.1 403"));
  for (const char* good :
       {"localhost", "localhost:9464", "127.0.0.1:9464", "[::1]:9464", "[::1]"}) {
    EXPECT_THAT(command(kJson, good), StartsWith("HTTP/1.1 200")) << good;
  }
}

TEST_F(AdminServerTest, RefusesBodiesThatAreTooLarge) {
  listen({.listen = "127.0.0.1:0"});
  EXPECT_THAT(post("/echo", std::string(9'000, 'x')), StartsWith("413 the body is too large"));
  EXPECT_THAT(post("/upload", std::string((1 << 20) + 1, 'x'), "application/octet-stream"),
              StartsWith("413"));
  EXPECT_THAT(post("/echo", std::string(8'000, 'x')), StartsWith("200"));
}

TEST_F(AdminServerTest, TakesCommandsFromThisHostWhereItListensOnAllAddresses) {
  listen({.listen = "0.0.0.0:0"});
  const auto address = HttpAddress::parse(server_->address()).value();
  const auto reply =
      http_post("127.0.0.1:" + address.port, "/echo", {"application/json", "{}"}, 5s);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(AdminServerTest, ListensOnASocketOfItsOwn) {
  const fs::path path = folder_.path() / "control.sock";
  listen({.listen = "unix:" + path.string()});
  EXPECT_EQ(server_->address(), "unix:" + path.string());
  EXPECT_EQ(http_get(server_->address(), "/page", 5s)->body, "a page\n");
  EXPECT_EQ(post("/echo", "{}"), "200 got {}");
  struct ::stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0660U);

  const auto second = try_to_listen({.listen = "unix:" + path.string()});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another process listens there"));
  EXPECT_TRUE(fs::exists(path)) << "and the first one still does";
}

TEST_F(AdminServerTest, ReplacesASocketThatAKilledDaemonLeftAndRemovesItsOwn) {
  const fs::path path = folder_.path() / "control.sock";
  { asio::local::stream_protocol::acceptor left{control_, path.string()}; }
  ASSERT_TRUE(fs::exists(path));
  {
    const auto server = try_to_listen({.listen = "unix:" + path.string()});
    ASSERT_TRUE(server) << server.error().message;
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(AdminServerTest, SaysWhyItCannotListen) {
  const auto message = [&](const std::string& address) {
    const auto server = try_to_listen({.listen = address});
    return server ? "listens" : server.error().message;
  };
  const fs::path file = folder_.write("file", "precious");
  EXPECT_THAT(message("unix:" + file.string()), HasSubstr("found a file there that is no socket"));
  EXPECT_TRUE(fs::exists(file));
  EXPECT_THAT(message("unix:" + (folder_.path() / "none/x").string()), HasSubstr("No such file"));
  EXPECT_THAT(message("unix:/" + std::string(200, 'x')), HasSubstr("expected at most 107"));
  EXPECT_THAT(message("unix:"), HasSubstr("expected host:port"));
  EXPECT_THAT(message("nonsense"), HasSubstr("expected host:port"));
  EXPECT_THAT(message("127.0.0.1:http"), HasSubstr("expected host:port"));
  EXPECT_THAT(message("192.0.2.1:9464"), HasSubstr("cannot listen on 192.0.2.1:9464"));
}

TEST(HttpClient, SaysThatNobodyIsThere) {
  const auto reply = http_get("unix:/nonexistent.sock", "/page", 1s);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("expected a running anomalyd there"));
}

}  // namespace
}  // namespace anomalyd::runtime
