#include "daemon/logging.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace anomalyd {
namespace {

/// The message as a JSON string, quotes included: flag %* of the JSON pattern.
class JsonText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text{message.payload.data(), message.payload.size()};
    const std::string json =
        nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    out.append(json.data(), json.data() + json.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<JsonText>();
  }
};

spdlog::level::level_enum to_spdlog(config::LogOptions::Level level) {
  using Level = config::LogOptions::Level;
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start_logging(const config::LogOptions& options) {
  using Format = config::LogOptions::Format;
  const bool text = options.format == Format::kText ||
                    (options.format == Format::kAuto && ::isatty(STDERR_FILENO) == 1);
  std::shared_ptr<spdlog::logger> logger;
  if (text) {
    logger = spdlog::stderr_color_mt("anomalyd");
    logger->set_pattern("%H:%M:%S.%e %^%-7l%$ %v");
  } else {
    logger = spdlog::stderr_logger_mt("anomalyd");
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<JsonText>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
    logger->set_formatter(std::move(formatter));
  }
  logger->set_level(to_spdlog(options.level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace anomalyd
