#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "daemon/pipeline/normal_rows.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "tools/commands.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

using nlohmann::json;
using pipeline::LeftOut;
using pipeline::NormalRows;
using runtime::ReservoirReader;

constexpr std::array<const char*, 5> kMarkNames{"normal", "not ready", "data fault", "suspicious",
                                                "incident"};

struct Arguments {
  std::string config_file;
  std::filesystem::path state;
  std::string series;
  std::string group;
  std::filesystem::path csv;
  std::size_t limit = 20;
  bool as_json = false;
};

/// What is looked at: the state folder, what was said of incidents, how long a window is.
struct Subject {
  std::filesystem::path state;
  pipeline::NormalRowsOptions options;
  std::vector<pipeline::Label> labels;
  std::vector<Error> ignored;  // lines of the feedback
};

Result<Subject> subject_of(const Arguments& arguments) {
  Subject subject;
  subject.state = arguments.state;
  if (!arguments.config_file.empty()) {
    const config::Loaded loaded = load_config(arguments.config_file);
    if (!check_and_report(loaded)) {
      return fail(ErrorKind::kInvalid,
                  arguments.config_file + " has problems; expected a valid one");
    }
    if (subject.state.empty()) subject.state = loaded.options.service.state_dir;
    subject.options.padding = loaded.options.pipeline.window.length;
    subject.options.max_gap = loaded.options.pipeline.window.max_gap;
  }
  if (subject.state.empty()) {
    return fail(ErrorKind::kInvalid, "no state folder; expected --state DIR or --config FILE");
  }
  auto feedback = runtime::FeedbackStore{subject.state}.read();
  if (!feedback) return Failure{feedback.error()};
  subject.labels = runtime::labels_of(feedback->feedback);
  subject.ignored = std::move(feedback->ignored);
  return subject;
}

std::string minute_of(std::int64_t micros) {
  return to_rfc3339(EventTime{std::chrono::microseconds{micros}}).substr(0, 16);
}

/// "12 % incident, 3 % near an incident": of all rows that a model may not be trained on.
std::string reasons_of(const NormalRows& rows) {
  std::string text;
  for (std::size_t i = 0; i < pipeline::kNumLeftOut; ++i) {
    if (rows.left_out[i] == 0) continue;
    const double share =
        100.0 * static_cast<double>(rows.left_out[i]) / static_cast<double>(rows.seen);
    text += fmt::format("{}{:.1f} % {}", text.empty() ? "" : ", ", share,
                        to_string(static_cast<LeftOut>(i)));
  }
  return text.empty() ? "-" : text;
}

json json_of(const ReservoirReader::SeriesSummary& summary) {
  json object{{"rows", summary.rows}};
  if (summary.rows > 0) {
    object["from"] = to_rfc3339(EventTime{std::chrono::microseconds{summary.first_time}});
    object["until"] = to_rfc3339(EventTime{std::chrono::microseconds{summary.last_time}});
  }
  for (std::size_t m = 0; m < kMarkNames.size(); ++m) {
    object["marks"][kMarkNames[m]] = summary.by_mark[m];
  }
  return object;
}

json json_of(const NormalRows& rows) {
  json object{{"rows", rows.seen}, {"learnable", rows.history.size()}};
  for (std::size_t i = 0; i < pipeline::kNumLeftOut; ++i) {
    object["left_out"][std::string{to_string(static_cast<LeftOut>(i))}] = rows.left_out[i];
  }
  return object;
}

/// One group on the screen, or in `document`.
Status show(const Subject& subject, const Arguments& arguments, const ReservoirReader& reader,
            const ReservoirReader::Group& group, json& document) {
  auto summary = reader.summary(group.key);
  if (!summary) return Failure{summary.error()};
  ReservoirReader::Selection selection;
  for (const auto& [series, known] : summary->series) {
    if (!arguments.series.empty() && series != arguments.series) continue;
    if (selection.series.size() < arguments.limit) selection.series.push_back(series);
  }
  if (selection.series.empty()) return {};
  auto rows = reader.read(group.key, selection);
  if (!rows) return Failure{rows.error()};

  if (!arguments.as_json) {
    fmt::print("{}: {} series, {} rows from {} to {}, {:.1f} MB in {} segments\n\n", group.key,
               summary->series.size(), short_count(static_cast<double>(summary->all.rows)),
               minute_of(summary->all.first_time), minute_of(summary->all.last_time),
               static_cast<double>(group.bytes) / 1e6, group.segments);
    fmt::print("  {:<24} {:>9}  {:<16} {:<16} {:>9}  {}\n", "series", "rows", "from", "until",
               "learnable", "left out");
  }
  json shown = json::object();
  for (const auto& [series, chunks] : rows->series) {
    const auto normal = pipeline::normal_rows(chunks, subject.labels, {}, subject.options);
    const auto& known = summary->series[series];
    shown[series] = json_of(known);
    shown[series].update(json_of(normal));
    if (arguments.as_json || normal.seen == 0) continue;
    fmt::print(
        "  {:<24} {:>9}  {:<16} {:<16} {:>7.1f} %  {}\n", series, normal.seen,
        minute_of(known.first_time), minute_of(known.last_time),
        100.0 * static_cast<double>(normal.history.size()) / static_cast<double>(normal.seen),
        reasons_of(normal));
  }
  if (!arguments.as_json) {
    const std::size_t more = summary->series.size() - selection.series.size();
    if (more > 0 && arguments.series.empty()) {
      fmt::print("  and {} more series; --limit shows them\n", more);
    }
    fmt::print("\n  all rows:");
    for (std::size_t m = 0; m < kMarkNames.size(); ++m) {
      fmt::print("{} {} {}", m == 0 ? "" : ",", summary->all.by_mark[m], kMarkNames[m]);
    }
    fmt::print("\n\n");
  }
  for (const Error& error : summary->damage) (void)report(error);

  json object = json_of(summary->all);
  object["group"] = group.key;
  object["bytes"] = group.bytes;
  object["segments"] = group.segments;
  object["series"] = std::move(shown);
  document["groups"].push_back(std::move(object));
  return {};
}

std::string keys_of(const std::vector<ReservoirReader::Group>& groups) {
  std::string keys;
  for (const auto& group : groups) keys += "\n  " + group.key;
  return keys;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string{c};
  return out + '"';
}

Error no_such_series(const Arguments& arguments, const std::filesystem::path& folder) {
  return {ErrorKind::kInvalid,
          folder.string() + ": no rows of the series '" + arguments.series + "'"};
}

/// Writes rows as CSV, one line each, series by series, in time order but for rows kept twice.
Status export_csv(const ReservoirReader& reader, const ReservoirReader::Group& group,
                  const Arguments& arguments) {
  ReservoirReader::Selection selection;
  if (!arguments.series.empty()) selection.series = {arguments.series};
  auto rows = reader.read(group.key, selection);
  if (!rows) return Failure{rows.error()};
  for (const Error& error : rows->damage) (void)report(error);
  if (rows->series.empty()) return Failure{no_such_series(arguments, reader.folder())};
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(arguments.csv.c_str(), "we"),
                                                       [](std::FILE* f) { return std::fclose(f); }};
  if (file == nullptr) {
    return fail(ErrorKind::kInvalid,
                arguments.csv.string() + ": " + std::generic_category().message(errno));
  }
  std::string line = "series,time";
  const auto write = [&](std::string_view mark) {  // fmt::print would throw on a full disk
    line += fmt::format(",{}\n", mark);
    const bool whole = std::fwrite(line.data(), 1, line.size(), file.get()) == line.size();
    line.clear();
    return whole;
  };
  const auto full = [&] {
    return fail(ErrorKind::kExhausted, arguments.csv.string() + ": cannot be written to its end");
  };
  for (const Channel& channel : group.channels) line += "," + quoted(channel.name);
  if (!write("mark")) return full();
  std::size_t lines = 0;
  for (auto& [series, chunks] : rows->series) {
    std::ranges::stable_sort(chunks, {}, [](const auto& c) { return c.history.times.front(); });
    for (const pipeline::JudgedRows& chunk : chunks) {
      const pipeline::History& history = chunk.history;
      for (std::size_t i = 0; i < history.size(); ++i, ++lines) {
        line = quoted(series) + "," +
               to_rfc3339(EventTime{std::chrono::microseconds{history.times[i]}});
        for (std::size_t c = 0; c < history.width; ++c) {
          const double value = history.rows[i * history.width + c];
          line += std::isnan(value) ? "," : fmt::format(",{}", value);
        }
        if (!write(kMarkNames[static_cast<std::size_t>(chunk.marks[i])])) return full();
      }
    }
  }
  if (std::fflush(file.get()) != 0) return full();
  fmt::print("{} rows written to {}\n", lines, arguments.csv.string());
  return {};
}

int run(const Arguments& arguments) {
  const auto subject = subject_of(arguments);
  if (!subject) return report(subject.error());
  for (const Error& error : subject->ignored) (void)report(error);
  const std::filesystem::path folder = subject->state / "reservoir";
  const ReservoirReader reader{folder};
  auto found = reader.groups();
  if (!found) return report(found.error());
  for (const Error& error : found->damage) (void)report(error);
  if (!arguments.group.empty()) {
    const std::string known = keys_of(found->groups);
    std::erase_if(found->groups, [&](const auto& group) { return group.key != arguments.group; });
    if (found->groups.empty()) {
      return report(
          {ErrorKind::kInvalid,
           fmt::format("{}: no rows of the group '{}'; expected one of:{}", folder.string(),
                       arguments.group, known.empty() ? " none" : known)});
    }
  }
  if (found->groups.empty() && !arguments.as_json) {
    std::error_code ignored;
    const bool exists = std::filesystem::exists(folder, ignored);
    fmt::print("{}\n", exists ? folder.string() + " is empty: no row has been judged yet."
                              : "There is no " + folder.string() +
                                    ": no daemon with this state folder has kept rows yet.");
    return arguments.csv.empty() ? kOk : kFailed;
  }
  if (!arguments.csv.empty()) {
    if (found->groups.size() != 1) {
      return report(
          {ErrorKind::kInvalid, "groups have columns of their own; expected --group with one of:" +
                                    keys_of(found->groups)});
    }
    const auto written = export_csv(reader, found->groups.front(), arguments);
    return written ? kOk : report(written.error());
  }
  json document{{"folder", folder.string()}, {"groups", json::array()}};
  for (const ReservoirReader::Group& group : found->groups) {
    if (auto shown = show(*subject, arguments, reader, group, document); !shown) {
      return report(shown.error());
    }
  }
  if (document["groups"].empty() && !arguments.series.empty()) {
    return report(no_such_series(arguments, folder));
  }
  if (arguments.as_json) {
    fmt::print("{}\n", document.dump(2, ' ', false, json::error_handler_t::replace));
  }
  return kOk;
}

}  // namespace

void add_data(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("data", "Rows that are kept to learn from again");
  command->footer(
      "Examples:\n"
      "  anomalyctl data --config anomalyd.yaml\n"
      "  anomalyctl data --state /var/lib/anomalyd --series pump-7\n"
      "  anomalyctl data --state /var/lib/anomalyd --csv rows.csv");
  command->add_option("-c,--config", arguments->config_file, "Takes the state folder from here")
      ->check(CLI::ExistingFile);
  command->add_option("--state", arguments->state, "State folder of the daemon (state.dir)");
  command->add_option("--series", arguments->series, "Only this one");
  command->add_option("--group", arguments->group, "Only the group with these channels");
  command->add_option("--limit", arguments->limit, "Series shown of each group")
      ->capture_default_str();
  command->add_flag("--json", arguments->as_json, "One document with all figures");
  command->add_option("--csv", arguments->csv, "Write the rows to this file");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
