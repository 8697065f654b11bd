#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace anomalyd::testing {

/// A Kafka broker of one test's own, for tests that stop brokers or fill them up. It takes 3 s to
/// start; tests that only need a cluster share `test_brokers()`.
///
/// Tests run in the root of the sources, where tools/kafka-local is.
/// Errors   throws, which fails the test, when a command fails. What it said is on stderr.
class LocalKafka {
 public:
  /// Starts a broker with its data under `dir`, which nobody else may use.
  explicit LocalKafka(const std::filesystem::path& dir) : dir_{dir.string()} {
    run("down");  // what an interrupted run left behind
    brokers_ = run("up");
  }
  ~LocalKafka() { std::system(command("down").c_str()); }
  LocalKafka(const LocalKafka&) = delete;
  LocalKafka& operator=(const LocalKafka&) = delete;

  [[nodiscard]] const std::string& brokers() const { return brokers_; }

  void stop() { run("stop"); }    ///< Ends the broker and keeps its data and port.
  void start() { run("start"); }  ///< Brings it back.

 private:
  [[nodiscard]] std::string command(const std::string& verb) const {
    return "tools/kafka-local " + verb + " --dir '" + dir_ + "'";
  }

  /// Returns what the command printed, without the line's end.
  std::string run(const std::string& verb) {
    std::FILE* pipe = ::popen(command(verb).c_str(), "r");
    if (!pipe) throw std::runtime_error{command(verb) + ": could not be started"};
    std::string output;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      if (c != '\n') output.push_back(static_cast<char>(c));
    }
    if (::pclose(pipe) != 0) throw std::runtime_error{command(verb) + ": failed"};
    return output;
  }

  std::string dir_;
  std::string brokers_;
};

}  // namespace anomalyd::testing
