#include "tools/figures_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace anomalyd::tools {
namespace {

nlohmann::ordered_json to_json(const Figures& figures) {
  nlohmann::ordered_json json;
  for (const FigureColumn& column : figure_columns()) {
    const double value = figures.*column.figure;
    if (std::isnan(value)) {
      json[column.json_name] = nullptr;
    } else {
      json[column.json_name] = value;
    }
  }
  return json;
}

Figures figures_from(const nlohmann::json& json) {
  Figures figures;
  for (const FigureColumn& column : figure_columns()) {
    const auto& value = json.at(column.json_name);
    if (!value.is_null()) figures.*column.figure = value;
  }
  return figures;
}

nlohmann::ordered_json to_json(const SeriesFigures& one) {
  nlohmann::ordered_json json = {{"group", one.group},       {"entity", one.entity},
                                 {"rows", one.rows},         {"normal_rows", one.normal_rows},
                                 {"nab_gain", one.nab.gain}, {"nab_range", one.nab.range}};
  json.update(to_json(one.figures));
  return json;
}

SeriesFigures series_from(const nlohmann::json& json) {
  return {.group = json.at("group"),
          .entity = json.at("entity"),
          .rows = json.at("rows"),
          .normal_rows = json.at("normal_rows"),
          .nab = {.gain = json.at("nab_gain"), .range = json.at("nab_range")},
          .figures = figures_from(json)};
}

}  // namespace

Status write_figures(const std::filesystem::path& path, const Evaluated& evaluated) {
  nlohmann::ordered_json json = {{"kind", evaluated.kind},
                                 {"seed", evaluated.seed},
                                 {"seconds", evaluated.seconds},
                                 {"retrainings", evaluated.retrainings},
                                 {"series", nlohmann::ordered_json::array()}};
  for (const SeriesFigures& one : evaluated.series) json["series"].push_back(to_json(one));
  for (const GroupFigures& group : by_group(evaluated.series)) {
    json["groups"][group.group] = to_json(group.figures);
  }
  const MacroFigures macro = macro_figures(evaluated.series);
  json["interval"] = {{"low", to_json(macro.low)}, {"high", to_json(macro.high)}};
  std::ofstream file{path};
  if (!(file << json.dump(1) << '\n').flush()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: cannot be written; expected a writable folder", path.string()));
  }
  return {};
}

Result<Evaluated> read_figures(const std::filesystem::path& path) {
  std::ifstream file{path};
  if (!file) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: no such file; expected what `evaluate --json` wrote", path.string()));
  }
  try {
    const auto json = nlohmann::json::parse(file);
    Evaluated evaluated{.kind = json.at("kind"),
                        .seed = json.at("seed"),
                        .seconds = json.at("seconds"),
                        .series = {}};
    for (const auto& one : json.at("series")) evaluated.series.push_back(series_from(one));
    return evaluated;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}; expected what `evaluate --json` wrote",
                                                 path.string(), error.what()));
  }
}

Result<Comparison> compare_files(const std::filesystem::path& before,
                                 const std::filesystem::path& after) {
  auto old_run = read_figures(before);
  if (!old_run) return Failure{std::move(old_run.error())};
  auto new_run = read_figures(after);
  if (!new_run) return Failure{std::move(new_run.error())};
  const auto differs = [&](const std::string& what) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}; expected the same series as in {}",
                                                 after.string(), what, before.string()));
  };
  std::vector<SeriesFigures> in_order;  // of `before`
  for (const SeriesFigures& one : old_run->series) {
    const auto same = std::ranges::find_if(new_run->series, [&](const SeriesFigures& other) {
      return other.group == one.group && other.entity == one.entity;
    });
    if (same == new_run->series.end()) return differs("no " + one.group + "/" + one.entity);
    if (same->rows != one.rows) {
      return differs(
          fmt::format("{}/{} has {} rows, not {}", one.group, one.entity, same->rows, one.rows));
    }
    in_order.push_back(*same);
  }
  if (new_run->series.size() != old_run->series.size()) {
    return differs(
        fmt::format("{} series, not {}", new_run->series.size(), old_run->series.size()));
  }
  return compare(std::move(old_run->series), std::move(in_order));
}

}  // namespace anomalyd::tools
