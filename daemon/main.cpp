#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "config/load.hpp"
#include "config/problem.hpp"
#include "daemon/logging.hpp"
#include "daemon/wiring.hpp"
#include "models/device.hpp"

namespace anomalyd {
namespace {

constexpr int kBadConfiguration = 78;  // EX_CONFIG of sysexits.h

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

/// One screen: what will be done, with what, and whether this host is fit for it.
void print_start(const config::Options& options, const std::string& file) {
  const auto device = models::pick_device(options.model.device);
  const std::size_t threads = models::resolve_threads(options.model.threads);
  const models::ProductSpeed speed =
      models::measure_product_speed(device.value_or("cpu"), threads, system_clock());
  std::fprintf(stderr,
               "anomalyd %s\n"
               "  configuration  %s\n"
               "  brokers        %s\n"
               "  input          %s\n"
               "  alerts         %s, at most %s\n"
               "  model          %s, window %zu rows\n"
               "  device         %s, %.0f GFLOP/s in matrix products\n"
               "  state          %s\n"
               "  http           %s\n",
               ANOMALYD_VERSION, file.c_str(), joined(options.kafka.brokers).c_str(),
               joined(options.input.topics).c_str(), options.alert_topic.c_str(),
               options.pipeline.budget.text().c_str(), options.model.kind.c_str(),
               options.pipeline.window.length,
               device ? device->c_str() : options.model.device.c_str(), speed.gflops,
               options.service.state_dir.c_str(), options.service.http.listen.c_str());
  if (speed.slow) std::fprintf(stderr, "  WARNING        %s\n", speed.advice.c_str());
}

/// What to do with a configuration.
enum class Mode { kServe, kOnce, kCheck };

int run(const std::string& file, Mode mode) {
  config::Loaded loaded = config::load_file(file, context_of_parts());
  if (!loaded.problems.empty()) {
    std::fputs(config::format_problems(loaded.problems, loaded.file).c_str(), stderr);
    return kBadConfiguration;
  }
  if (mode == Mode::kCheck) {
    std::printf("%s is valid\n", file.c_str());
    return 0;
  }
  loaded.options.service.exit_at_end = mode == Mode::kOnce;
  start_logging(loaded.options.log);
  print_start(loaded.options, file);
  auto service = build_service(std::move(loaded.options), system_clock());
  if (!service) {
    std::fprintf(stderr, "anomalyd: %s\n", service.error().message.c_str());
    return service.error().kind == ErrorKind::kInvalid ? kBadConfiguration : 1;
  }
  return (*service)->run();
}

}  // namespace
}  // namespace anomalyd

int main(int argc, char** argv) try {
  CLI::App app{"Finds anomalies in telemetry from Kafka and publishes incidents."};
  app.set_version_flag("--version", ANOMALYD_VERSION);
  std::string file = "/etc/anomalyd/anomalyd.yaml";
  bool check = false, once = false;
  app.add_option("-c,--config,config", file, "Configuration file")->capture_default_str();
  app.add_flag("--check", check, "Check the configuration, change nothing and exit");
  app.add_flag("--once", once, "Stop when the input has been read to its end and is judged")
      ->excludes("--check");
  app.footer(
      "`anomalyctl init` writes a configuration for a topic; `anomalyctl config explain`\n"
      "tells what every option means.");
  CLI11_PARSE(app, argc, argv);
  using anomalyd::Mode;
  return anomalyd::run(file, check ? Mode::kCheck : once ? Mode::kOnce : Mode::kServe);
} catch (const std::exception& error) {
  std::fprintf(stderr, "anomalyd: %s\n", error.what());
  return 1;
}
