#include "tools/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

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
  draw(Moment::kBetween);
  next_draw_ = now + (style_ == Style::kBar ? 100ms : total_ == 0 ? 10s : 1s);
  next_line_ = done_ + total_ / 10;
}

void Progress::finish() {
  if (finished_ || style_ == Style::kSilent) return;
  finished_ = true;
  draw(Moment::kEnd);
}

/// "[====    ]  41 %  41/100 rows", or just the count when the total is not known.
std::string Progress::position() const {
  const auto done = static_cast<double>(done_);
  const auto total = static_cast<double>(total_);
  if (total_ == 0) return fmt::format(" {} {}", short_count(done), unit_);
  const double share = std::min(1.0, done / total);
  std::string text;
  if (style_ == Style::kBar) {
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    text += fmt::format(" [{:=<{}}{:{}}]", "", filled, "", kWidth - filled);
  }
  text += fmt::format(" {:3.0f} %", share * 100);
  if (unit_.empty()) return text;
  return text + fmt::format("  {}/{} {}", short_count(done), short_count(total), unit_);
}

void Progress::draw(Moment moment) {
  const double seconds = std::chrono::duration<double>(clock_.monotonic() - begin_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string line = what_ + position();
  if (!unit_.empty()) line += fmt::format("  {}/s", short_count(rate));
  if (moment == Moment::kEnd) {
    line += fmt::format("  took {}", short_duration(seconds));
  } else if (total_ != 0 && rate > 0) {
    const auto left = static_cast<double>(total_ - std::min(done_, total_));
    line += fmt::format("  {} left", short_duration(left / rate));
  }
  if (!note_.empty()) line += "  " + note_;
  if (style_ == Style::kBar) {
    fmt::print(out_, "\r{}\033[K{}", line, moment == Moment::kEnd ? "\n" : "");
  } else {
    fmt::print(out_, "{}\n", line);
  }
  std::fflush(out_);
}

std::string short_count(double count) {
  if (count < 1000) return fmt::format("{:.0f}", count);
  if (count < 1e6) return fmt::format("{:.1f}k", count / 1e3);
  if (count < 1e9) return fmt::format("{:.1f}M", count / 1e6);
  return fmt::format("{:.1f}G", count / 1e9);
}

std::string short_duration(double seconds) {
  if (seconds > 0 && seconds < 1) return fmt::format("{:.0f}ms", seconds * 1000);
  const auto s = std::lround(seconds);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {}h", s / 86400, s / 3600 % 24);
}

}  // namespace anomalyd::tools
