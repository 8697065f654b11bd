#include "tools/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace anomalyd::tools {

using namespace std::chrono_literals;

Progress::Style Progress::style_of_stderr() {
  return isatty(STDERR_FILENO) != 0 ? Style::kBar : Style::kLines;
}

Progress::Progress(std::string what, std::string unit, std::size_t total, Style style, Clock& clock,
                   std::FILE* out)
    : what_{std::move(what)},
      unit_{std::move(unit)},
      total_{total},
      style_{style},
      clock_{clock},
      out_{out},
      begin_{clock.monotonic()},
      next_draw_{begin_} {}

void Progress::update(std::size_t done, const std::string& note) {
  done_ = done;
  if (note != note_) note_ = note;
  if (style_ == Style::kSilent || finished_) return;
  const MonotonicTime now = clock_.monotonic();
  if (now < next_draw_) return;
  if (style_ == Style::kLines && total_ != 0 && done_ < next_line_) return;
  draw(false);
  next_draw_ = now + (style_ == Style::kBar ? 100ms : total_ == 0 ? 10s : 1s);
  next_line_ = done_ + total_ / 10;
}

void Progress::finish() {
  if (finished_ || style_ == Style::kSilent) return;
  finished_ = true;
  draw(true);
}

void Progress::draw(bool last) {
  const double seconds = std::chrono::duration<double>(clock_.monotonic() - begin_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string line = what_;
  if (total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    if (style_ == Style::kBar)
      line += fmt::format(" [{:=<{}}{:{}}]", "", filled, "", kWidth - filled);
    line += fmt::format(" {:3.0f} %", share * 100);
    line += fmt::format("  {}/{} {}", short_count(static_cast<double>(done_)),
                        short_count(static_cast<double>(total_)), unit_);
  } else {
    line += fmt::format(" {} {}", short_count(static_cast<double>(done_)), unit_);
  }
  line += fmt::format("  {}/s", short_count(rate));
  if (last) {
    line += fmt::format("  took {}", short_duration(seconds));
  } else if (total_ != 0 && rate > 0) {
    line += fmt::format(
        "  {} left", short_duration(static_cast<double>(total_ - std::min(done_, total_)) / rate));
  }
  if (!note_.empty()) line += "  " + note_;
  const bool bar = style_ == Style::kBar;
  fmt::print(out_, "{}{}{}{}", bar ? "\r" : "", line, bar ? "\033[K" : "",
             bar && !last ? "" : "\n");
  std::fflush(out_);
}

std::string short_count(double count) {
  if (count < 1000) return fmt::format("{:.0f}", count);
  if (count < 1e6) return fmt::format("{:.1f}k", count / 1e3);
  if (count < 1e9) return fmt::format("{:.1f}M", count / 1e6);
  return fmt::format("{:.1f}G", count / 1e9);
}

std::string short_duration(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f}ms", seconds * 1000);
  const auto s = static_cast<long>(seconds + 0.5);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {}h", s / 86400, s / 3600 % 24);
}

}  // namespace anomalyd::tools
