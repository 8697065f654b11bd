#include "tools/evaluation_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/figures_table.hpp"
#include "tools/page.hpp"

namespace anomalyd::tools {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kChannels = 4;     // drawn of each series
constexpr std::size_t kIncidents = 100;  // listed of each series, the worst

/// So many that the page stays below 20 MB, and not more than a screen has.
std::size_t pixels_for(std::size_t num_series) {
  constexpr std::size_t kBytesPerPixel = 2 * 7 * (kChannels + 1) + 11;  // as text
  return std::clamp<std::size_t>(20'000'000 / kBytesPerPixel / std::max<std::size_t>(num_series, 1),
                                 60, 1200);
}

/// Four digits are finer than a pixel. JSON knows no NaN.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr);
}

std::int64_t epoch_seconds(EventTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

/// Puts rows together that fall on one pixel.
class Pixels {
 public:
  Pixels(std::size_t begin, std::size_t end, std::size_t most)
      : begin_{begin}, rows_{end - begin}, count_{std::min(most, rows_)} {}

  /// A value per pixel, made by `draw` of its first row and the one behind its last.
  template <typename Draw>
  [[nodiscard]] Json each(const Draw& draw) const {
    Json list = Json::array();
    for (std::size_t i = 0; i < count_; ++i) {
      list.push_back(draw(begin_ + i * rows_ / count_, begin_ + (i + 1) * rows_ / count_));
    }
    return list;
  }

 private:
  std::size_t begin_;
  std::size_t rows_;
  std::size_t count_;
};

/// Channels by how much incidents blame them, then by their place.
std::vector<std::size_t> worst_channels(const LabelledSeries& series,
                                        const std::vector<Alert>& incidents) {
  std::map<std::string, double> blame;
  for (const Alert& incident : incidents) {
    for (const Alert::Feature& feature : incident.features) blame[feature.name] += feature.share;
  }
  std::vector<std::size_t> order(series.channels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>{},
                           [&](std::size_t i) { return blame[series.channels[i].name]; });
  order.resize(std::min(order.size(), kChannels));
  return order;
}

Json channel_json(const LabelledSeries& series, std::size_t channel, const Pixels& pixels) {
  const auto extreme = [&](const auto& pick) {
    return pixels.each([&](std::size_t begin, std::size_t end) {
      double most = Figures::kNone;
      for (std::size_t row = begin; row < end; ++row) {
        const double value = series.row(row)[channel];
        if (!std::isnan(value)) most = std::isnan(most) ? value : pick(most, value);
      }
      return number(most);
    });
  };
  return {{"name", series.channels[channel].name},
          {"low", extreme([](double a, double b) { return std::min(a, b); })},
          {"high", extreme([](double a, double b) { return std::max(a, b); })}};
}

/// The row with the largest score among those of a pixel, as far as there are scores.
std::size_t worst_row(const ScoredRows& scored, std::size_t begin, std::size_t end) {
  std::size_t worst = begin;
  for (std::size_t row = begin; row < end; ++row) {
    if (std::isnan(scored.scores[worst]) || scored.scores[row] > scored.scores[worst]) worst = row;
  }
  return worst;
}

/// Incidents tell times; the page draws rows.
std::size_t row_at(const LabelledSeries& series, EventTime time) {
  const auto row = std::ranges::find(series.times, time);
  return static_cast<std::size_t>(row - series.times.begin());
}

/// An incident among judged rows, counted from the first of these.
struct PlacedIncident {
  const Alert* alert;
  RowRange rows;
  bool is_true;  // it touches an event
};

std::vector<PlacedIncident> place(const LabelledSeries& series, std::size_t train_end,
                                  const std::vector<Alert>& incidents) {
  std::vector<PlacedIncident> placed;
  for (const Alert& incident : incidents) {
    const std::size_t begin = row_at(series, incident.start);
    const std::size_t last = row_at(series, incident.end.value_or(incident.time));
    if (last >= series.size() || begin < train_end || last < begin) continue;
    const auto labels = std::span{series.labels}.subspan(begin, last + 1 - begin);
    placed.push_back({.alert = &incident,
                      .rows = {begin - train_end, last + 1 - train_end},
                      .is_true = std::ranges::find(labels, 1) != labels.end()});
  }
  return placed;
}

Json incidents_json(std::vector<PlacedIncident> incidents) {
  if (incidents.size() > kIncidents) {
    std::ranges::sort(incidents, std::greater<>{},
                      [](const PlacedIncident& one) { return one.alert->score; });
    incidents.resize(kIncidents);
    std::ranges::sort(incidents, {}, [](const PlacedIncident& one) { return one.rows.begin; });
  }
  Json list = Json::array();
  for (const auto& [alert, rows, is_true] : incidents) {
    Json features = Json::array();
    for (const Alert::Feature& feature : alert->features) {
      features.push_back({feature.name, number(feature.observed), number(feature.expected),
                          number(feature.share)});
    }
    list.push_back({{"begin", rows.begin},
                    {"end", rows.end},
                    {"time", epoch_seconds(alert->start)},
                    {"true", is_true},
                    {"score", number(alert->score)},
                    {"threshold", number(alert->threshold)},
                    {"p", number(alert->p_value)},
                    {"features", features}});
  }
  return list;
}

Json events_json(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> alerts) {
  Json list = Json::array();
  for (const auto& [rows, found, delay] : find_events(labels, alerts)) {
    list.push_back({rows.begin, rows.end, found, delay ? Json(*delay) : Json(nullptr)});
  }
  return list;
}

Json figures_json(const Figures& figures) {
  Json json = Json::object();
  for (const FigureColumn& column : figure_columns()) {
    json[column.name] = number(figures.*column.figure);
  }
  return json;
}

}  // namespace

EvaluationReport::EvaluationReport(std::size_t num_series)
    : pixels_{pixels_for(num_series)}, series_(num_series) {}

void EvaluationReport::add(std::size_t index, std::size_t train_end, const LabelledSeries& series,
                           const ScoredRows& scored, const SeriesFigures& figures) {
  const Pixels pixels{train_end, series.size(), pixels_};
  Json channels = Json::array();
  for (const std::size_t channel : worst_channels(series, scored.incidents)) {
    channels.push_back(channel_json(series, channel, pixels));
  }
  const auto at_worst = [&](const std::vector<double>& values) {
    return pixels.each([&](std::size_t begin, std::size_t end) {
      return number(values[worst_row(scored, begin, end)]);
    });
  };
  const auto judged = judged_rows(series, scored, train_end);
  const auto incidents = place(series, train_end, scored.incidents);
  const Json json = {{"group", figures.group},
                     {"entity", figures.entity},
                     {"rows", figures.rows},
                     {"columns", series.channels.size()},
                     {"figures", figures_json(figures.figures)},
                     {"times", pixels.each([&](std::size_t begin, std::size_t) {
                        return epoch_seconds(series.times[begin]);
                      })},
                     {"channels", channels},
                     {"score", at_worst(scored.scores)},
                     {"threshold", at_worst(scored.thresholds)},
                     {"events", events_json(judged.labels, judged.alerts)},
                     {"num_incidents", incidents.size()},
                     {"num_false", std::ranges::count(incidents, false, &PlacedIncident::is_true)},
                     {"incidents", incidents_json(incidents)}};
  // Names come from files, and a page must not fail over a byte that is no UTF-8.
  series_[index] = for_script(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Status EvaluationReport::write(const std::filesystem::path& path, const Evaluated& evaluated,
                               double alpha) const {
  const MacroFigures macro = macro_figures(evaluated.series);
  const Json head = {{"kind", evaluated.kind},
                     {"headline", headline_text(headline(evaluated, alpha))},
                     {"macro", figures_json(macro.value)},
                     {"low", figures_json(macro.low)},
                     {"high", figures_json(macro.high)}};
  constexpr std::string_view kPlace = "@DATA@";
  const std::size_t place = kReportPage.find(kPlace);
  std::ofstream file{path};
  file << kReportPage.substr(0, place) << "{\"head\":" << for_script(head.dump())
       << ",\"series\":[";
  for (std::size_t i = 0; i < series_.size(); ++i) {
    file << (i == 0 ? "\n" : ",\n") << (series_[i].empty() ? "null" : series_[i]);
  }
  file << "]}" << kReportPage.substr(place + kPlace.size());
  if (!file.flush()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: cannot be written; expected a writable folder", path.string()));
  }
  return {};
}

}  // namespace anomalyd::tools
