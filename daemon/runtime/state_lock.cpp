#include "daemon/runtime/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kName = "lock";

/// What the file says; it is a hint, so nothing in it is an error.
StateLock::Holder read_holder(int file) {
  std::array<char, 1024> text{};
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  StateLock::Holder holder;
  const json said = json::parse(text.data(), text.data() + std::max<ssize_t>(size, 0), nullptr,
                                /*allow_exceptions=*/false);
  if (!said.is_object()) return holder;
  if (const auto it = said.find("pid"); it != said.end() && it->is_number_integer()) {
    holder.process = it->get<int>();
  }
  const auto text_of = [&](const char* name) {
    const auto it = said.find(name);
    return it != said.end() && it->is_string() ? it->get<std::string>() : "";
  };
  holder.program = text_of("program");
  holder.http = text_of("http");
  return holder;
}

std::string in_words(const StateLock::Holder& holder) {
  if (holder.process == 0) return "another process";
  return (holder.program.empty() ? "process" : holder.program) + " " +
         std::to_string(holder.process);
}

}  // namespace

Result<std::unique_ptr<StateLock>> StateLock::acquire(const fs::path& state_dir,
                                                      std::string program) {
  if (auto made = make_folder(state_dir); !made) return Failure{std::move(made.error())};
  const fs::path path = state_dir / kName;
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return io_failure(path, "cannot open");
  std::unique_ptr<StateLock> lock{new StateLock{file, path, std::move(program)}};
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_failure(path, "cannot lock");
    return fail(ErrorKind::kUnavailable, state_dir.string() + ": found the state folder of " +
                                             in_words(read_holder(file)) +
                                             ", which is running; expected one of its own");
  }
  if (auto said = lock->announce(""); !said) return Failure{std::move(said.error())};
  return lock;
}

Result<std::optional<StateLock::Holder>> StateLock::holder(const fs::path& state_dir) {
  const fs::path path = state_dir / kName;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return io_failure(path, "cannot open");
  }
  std::optional<Holder> holder;
  if (::flock(file, LOCK_SH | LOCK_NB) != 0) holder = read_holder(file);
  ::close(file);
  return holder;
}

StateLock::StateLock(int file, fs::path path, std::string program)
    : file_{file}, path_{std::move(path)}, program_{std::move(program)} {}

StateLock::~StateLock() { ::close(file_); }

Status StateLock::announce(const std::string& http_address) {
  const json said = {{"pid", ::getpid()}, {"program", program_}, {"http", http_address}};
  const std::string text = said.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (::ftruncate(file_, 0) != 0 ||
      ::pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return io_failure(path_, "cannot write");
  }
  return {};
}

}  // namespace anomalyd::runtime
