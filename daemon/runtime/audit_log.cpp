#include "daemon/runtime/audit_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr off_t kMaxLineBytes = 1 << 20;  // what a torn line is looked for in

/// What follows the last end of a line in a file of `size` bytes.
Result<std::string> torn_line(int file, off_t size, const fs::path& path) {
  const off_t begin = std::max<off_t>(0, size - kMaxLineBytes);
  std::string tail(static_cast<std::size_t>(size - begin), '\0');
  if (::pread(file, tail.data(), tail.size(), begin) != static_cast<ssize_t>(tail.size())) {
    return io_failure(path, "cannot read");
  }
  const std::size_t end = tail.rfind('\n');
  return end == std::string::npos ? tail : tail.substr(end + 1);
}

}  // namespace

std::string to_line(const AuditEvent& event, EventTime time) {
  Json line = {{"time", to_rfc3339(time)}, {"event", event.event},   {"group", event.group},
               {"version", event.version}, {"reason", event.reason}, {"by", event.by}};
  const Json details = Json::parse(event.details, nullptr, /*allow_exceptions=*/false);
  if (details.is_object()) {
    for (const auto& [name, value] : details.items()) {
      if (!line.contains(name)) line[name] = value;
    }
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(fs::path path, Clock& clock, Sink sink) {
  const bool is_new = !fs::exists(path);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (file < 0) return io_failure(path, "cannot open");
  std::unique_ptr<AuditLog> log{new AuditLog{file, std::move(path), clock, std::move(sink)}};
  auto ready = is_new ? sync_folder(log->path_.parent_path()) : log->repair();
  if (!ready) return Failure{std::move(ready.error())};
  return log;
}

AuditLog::AuditLog(int file, fs::path path, Clock& clock, Sink sink)
    : file_{file}, path_{std::move(path)}, clock_{clock}, sink_{std::move(sink)} {}

AuditLog::~AuditLog() { ::close(file_); }

Status AuditLog::repair() {
  struct ::stat about {};
  if (::fstat(file_, &about) != 0) return io_failure(path_, "cannot look at");
  auto torn = torn_line(file_, about.st_size, path_);
  if (!torn) return Failure{std::move(torn.error())};
  if (torn->empty()) return {};
  if (Json::accept(*torn)) return write("");  // only its end was missing
  const auto size = static_cast<off_t>(torn->size());
  if (::ftruncate(file_, about.st_size - size) != 0) return io_failure(path_, "cannot repair");
  return append(
      {.event = "repaired",
       .group = {},
       .version = {},
       .reason = "the last line was torn; " + std::to_string(size) + " bytes removed",
       .by = "anomalyd",
       .details = Json{{"removed", *torn}}.dump(-1, ' ', true, Json::error_handler_t::replace)});
}

Status AuditLog::append(const AuditEvent& event) {
  const std::lock_guard lock{mutex_};
  const std::string line = to_line(event, clock_.wall());
  auto written = write(line);
  if (sink_) sink_(event, line);
  return written;
}

Status AuditLog::write(std::string line) {
  struct ::stat before {};
  if (::fstat(file_, &before) != 0) return io_failure(path_, "cannot look at");
  line += '\n';
  const ssize_t written = ::write(file_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    Failure failure = io_failure(path_, "cannot write");
    if (written > 0 && ::ftruncate(file_, before.st_size) != 0) {
      return io_failure(path_, "cannot take a torn line back");
    }
    return failure;
  }
  if (::fsync(file_) != 0) return io_failure(path_, "cannot sync");
  return {};
}

}  // namespace anomalyd::runtime
