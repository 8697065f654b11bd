#include "daemon/pipeline/normal_rows.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kFar = SIZE_MAX / 2;  // rows from an incident: beyond any padding
constexpr double kLongStep = 3;  // times the usual one: chunks so far apart do not follow on

/// One row of one chunk.
struct RowRef {
  std::int64_t time;
  std::uint32_t chunk;
  std::uint32_t row;
  std::uint32_t gap;  // as in History
  RowMark mark;
};

/// Which mark counts where a row was judged twice: once ready is enough, and the worst of the rest.
int gravity(RowMark mark) { return mark == RowMark::kUnready ? -1 : static_cast<int>(mark); }

/// The rows of all chunks by time, each once.
std::vector<RowRef> in_time_order(std::span<const JudgedRows> chunks) {
  std::vector<RowRef> rows;
  std::size_t total = 0;
  for (const JudgedRows& chunk : chunks) total += chunk.history.size();
  rows.reserve(total);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const History& history = chunks[c].history;
    for (std::size_t i = 0; i < history.size(); ++i) {
      rows.push_back({history.times[i], static_cast<std::uint32_t>(c),
                      static_cast<std::uint32_t>(i), history.gaps[i], chunks[c].marks[i]});
    }
  }
  std::ranges::stable_sort(rows, {}, &RowRef::time);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (kept == 0 || rows[kept - 1].time != rows[i].time) {
      rows[kept++] = rows[i];
      continue;
    }
    RowRef& known = rows[kept - 1];
    if (gravity(rows[i].mark) > gravity(known.mark)) known.mark = rows[i].mark;
    known.gap = std::min(known.gap, rows[i].gap);  // a restart only where every copy has one
  }
  rows.resize(kept);
  return rows;
}

/// The usual time from one row to the next, in microseconds; 0 where no chunk has two rows.
double usual_step(const std::vector<RowRef>& rows) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].chunk != rows[i - 1].chunk || rows[i].gap == History::kRestart) continue;
    steps.push_back(static_cast<double>(rows[i].time - rows[i - 1].time) / (rows[i].gap + 1.0));
  }
  if (steps.empty()) return 0;
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

/// Puts a restart between chunks that do not follow on each other, and before the first row.
void mark_breaks(std::vector<RowRef>& rows) {
  const double step = usual_step(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool follows = i > 0 && (rows[i].chunk == rows[i - 1].chunk ||
                                   (rows[i].gap != History::kRestart &&
                                    static_cast<double>(rows[i].time - rows[i - 1].time) <=
                                        kLongStep * step * (static_cast<double>(rows[i].gap) + 1)));
    if (!follows) rows[i].gap = History::kRestart;
  }
}

std::optional<LeftOut> reason_of(RowMark mark) {
  switch (mark) {
    case RowMark::kNormal: return {};
    case RowMark::kUnready: return LeftOut::kUnready;
    case RowMark::kDataFault: return LeftOut::kDataFault;
    case RowMark::kSuspicious: return LeftOut::kSuspicious;
    case RowMark::kIncident: return LeftOut::kIncident;
  }
  return LeftOut::kDataFault;
}

using Reasons = std::vector<std::optional<LeftOut>>;  // one per row; nothing for a normal one

/// Lets suspicious rows in where there has been nothing else for long.
void admit_settled(const std::vector<RowRef>& rows, const NormalRowsOptions& options,
                   Reasons& reasons) {
  for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end + 1) {
    end = begin;
    while (end < rows.size() && reasons[end]) ++end;
    if (end == begin || rows[end - 1].time - rows[begin].time < options.settled.count()) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (reasons[i] == LeftOut::kSuspicious) reasons[i].reset();
    }
  }
}

/// Takes what people have said into account, and what was named to be left out.
void apply_labels(const std::vector<RowRef>& rows, const std::string& series,
                  std::span<const Label> labels, std::span<const RowInterval> excluded,
                  bool with_faults, Reasons& reasons) {
  const auto range = [&](EventTime start, EventTime end) {
    const auto first =
        std::ranges::lower_bound(rows, start.time_since_epoch().count(), {}, &RowRef::time);
    const auto last =
        std::ranges::upper_bound(rows, end.time_since_epoch().count(), {}, &RowRef::time);
    return std::pair{static_cast<std::size_t>(first - rows.begin()),
                     static_cast<std::size_t>(last - rows.begin())};
  };
  for (const Label& label : labels) {
    if (!label.series.empty() && label.series != series) continue;
    const auto [first, last] = range(label.start, label.end);
    const bool is_fault = label.name.starts_with(kFaultClass);
    if (!is_fault && !label.name.starts_with(kBenignClass) && label.name != kNormalClass) continue;
    for (std::size_t i = first; i < last; ++i) {
      if (is_fault && !with_faults) {
        reasons[i] = LeftOut::kFault;
      } else if (rows[i].mark == RowMark::kDataFault) {
        reasons[i] = LeftOut::kDataFault;
      } else {
        reasons[i].reset();
      }
    }
  }
  for (const RowInterval& interval : excluded) {
    if (!interval.series.empty() && interval.series != series) continue;
    const auto [first, last] = range(interval.start, interval.end);
    for (std::size_t i = first; i < last; ++i) reasons[i] = LeftOut::kExcluded;
  }
}

bool is_incident(const std::optional<LeftOut>& reason) {
  return reason == LeftOut::kIncident || reason == LeftOut::kFault || reason == LeftOut::kExcluded;
}

/// Leaves out normal rows that are near an incident.
void apply_padding(const std::vector<RowRef>& rows, const NormalRowsOptions& options,
                   Reasons& reasons) {
  std::vector<bool> near(rows.size());
  const auto pass = [&](auto index_of, auto gap_between) {
    std::optional<std::int64_t> time;  // of the last incident row in this direction
    std::size_t steps = kFar;          // from it, missing rows included
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const std::size_t i = index_of(k);
      const std::uint32_t gap = k > 0 ? gap_between(i) : History::kRestart;
      steps = gap == History::kRestart ? kFar : std::min(kFar, steps + 1 + gap);
      if (is_incident(reasons[i])) {
        time = rows[i].time;
        steps = 0;
        continue;
      }
      const bool by_rows = steps <= std::min(options.padding, kFar - 1);
      const bool by_time = time && std::abs(rows[i].time - *time) <= options.padding_time.count();
      if (by_rows || by_time) near[i] = true;
    }
  };
  pass([](std::size_t k) { return k; }, [&](std::size_t i) { return rows[i].gap; });
  pass([&](std::size_t k) { return rows.size() - 1 - k; },
       [&](std::size_t i) { return rows[i + 1].gap; });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (near[i] && !reasons[i]) reasons[i] = LeftOut::kNearIncident;
  }
}

/// Leaves out normal rows until there are at most as many as wanted.
void apply_limit(const NormalRowsOptions& options, Reasons& reasons) {
  std::vector<std::size_t> normal;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (!reasons[i]) normal.push_back(i);
  }
  if (normal.size() <= options.rows) return;
  const std::size_t newest = options.rows - options.rows / 2;
  const std::size_t older = normal.size() - newest, wanted = options.rows / 2;
  // Stretch k of n begins k/n of the way from the first row to the last place for one.
  const std::size_t stretch =
      std::clamp<std::size_t>(options.stretch, 1, std::max<std::size_t>(wanted, 1));
  const std::size_t n = wanted / stretch;
  std::vector<bool> taken(older);
  std::size_t num_taken = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t first = n == 1 ? 0 : k * (older - stretch) / (n - 1);
    for (std::size_t j = first; j < first + stretch; ++j) {
      if (!taken[j]) ++num_taken;
      taken[j] = true;
    }
  }
  // What is left of the number, where it is no whole stretch or stretches meet: the newest.
  for (std::size_t j = older; j-- > 0 && num_taken < wanted;) {
    if (!taken[j]) ++num_taken;
    taken[j] = true;
  }
  for (std::size_t j = 0; j < older; ++j) {
    if (!taken[j]) reasons[normal[j]] = LeftOut::kNotNeeded;
  }
}

/// The rows without a reason, with a gap or a restart where others were.
History gather(std::span<const JudgedRows> chunks, const std::vector<RowRef>& rows,
               const Reasons& reasons, std::size_t max_gap) {
  History history;
  std::size_t newest = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    history.width = std::max(history.width, chunks[c].history.width);
    const auto& times = chunks[c].history.times;
    if (!times.empty() && (chunks[newest].history.times.empty() ||
                           times.back() >= chunks[newest].history.times.back())) {
      newest = c;
    }
  }
  history.series = chunks[newest].history.series;
  history.windower = chunks[newest].history.windower;
  std::size_t missing = 0;  // before the row at hand; more than max_gap where windows restart
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].gap == History::kRestart) {
      missing = max_gap + 1;
    } else {
      missing = std::min(max_gap + 1, missing + rows[i].gap);
    }
    if (reasons[i]) {
      missing = std::min(max_gap + 1, missing + 1);
      continue;
    }
    const History& from = chunks[rows[i].chunk].history;
    history.times.push_back(rows[i].time);
    history.offsets.push_back(from.offsets[rows[i].row]);
    const bool restart = missing > max_gap || history.gaps.empty();
    history.gaps.push_back(restart ? History::kRestart : static_cast<std::uint32_t>(missing));
    const auto first = from.rows.begin() + static_cast<std::ptrdiff_t>(rows[i].row * from.width);
    history.rows.insert(history.rows.end(), first, first + static_cast<std::ptrdiff_t>(from.width));
    history.rows.resize(history.times.size() * history.width, NAN);
    missing = 0;
  }
  if (history.windower.period().count() == 0) {  // rows from the disk come without
    history.windower = Windower::behind(history.times, {});
  }
  return history;
}

}  // namespace

std::string_view to_string(LeftOut reason) {
  switch (reason) {
    case LeftOut::kUnready: return "not ready";
    case LeftOut::kDataFault: return "data fault";
    case LeftOut::kSuspicious: return "suspicious";
    case LeftOut::kIncident: return "incident";
    case LeftOut::kNearIncident: return "near an incident";
    case LeftOut::kFault: return "labelled a fault";
    case LeftOut::kExcluded: return "excluded";
    case LeftOut::kNotNeeded: return "not needed";
  }
  return "unknown";
}

NormalRows normal_rows(std::span<const JudgedRows> chunks, std::span<const Label> labels,
                       std::span<const RowInterval> excluded, const NormalRowsOptions& options) {
  NormalRows result;
  if (chunks.empty()) return result;
  std::vector<RowRef> rows = in_time_order(chunks);
  mark_breaks(rows);
  Reasons reasons;
  reasons.reserve(rows.size());
  for (const RowRef& row : rows) reasons.push_back(reason_of(row.mark));
  admit_settled(rows, options, reasons);
  apply_labels(rows, chunks.front().history.series, labels, excluded, options.with_faults, reasons);
  apply_padding(rows, options, reasons);
  apply_limit(options, reasons);

  result.seen = rows.size();
  for (const auto& reason : reasons) {
    if (reason) ++result.left_out[static_cast<std::size_t>(*reason)];
  }
  const std::size_t max_gap = std::min<std::size_t>(options.max_gap, Windower::kLongestGap);
  result.history = gather(chunks, rows, reasons, max_gap);
  return result;
}

std::pair<History, History> hold_out_newest(const History& history, double share) {
  const auto n = history.size();
  const auto held =
      static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(n)));
  const auto k = static_cast<std::ptrdiff_t>(n - std::min(n, held));
  std::vector<std::size_t> columns(history.width);
  for (std::size_t c = 0; c < columns.size(); ++c) columns[c] = c;
  std::pair<History, History> parts{history.project(columns, static_cast<std::size_t>(k)), {}};
  if (k > 0 && k < static_cast<std::ptrdiff_t>(n)) {
    const EventTime last{std::chrono::microseconds{parts.first.times.back()}};
    parts.first.windower = history.windower.as_of(last);
  }
  History& newest = parts.second;
  newest.series = history.series;
  newest.width = history.width;
  newest.windower = history.windower;
  newest.times.assign(history.times.begin() + k, history.times.end());
  newest.offsets.assign(history.offsets.begin() + k, history.offsets.end());
  newest.gaps.assign(history.gaps.begin() + k, history.gaps.end());
  newest.rows.assign(history.rows.begin() + k * static_cast<std::ptrdiff_t>(history.width),
                     history.rows.end());
  if (!newest.gaps.empty()) newest.gaps.front() = History::kRestart;
  return parts;
}

}  // namespace anomalyd::pipeline
