#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

#include "daemon/core/time.hpp"

namespace anomalyd::tools {

/// Shows how far a long piece of work is: a bar that redraws itself on a terminal, a plain line
/// every tenth of the way elsewhere. Always to stderr, so that stdout stays for results.
///
/// One thread at a time.
class Progress {
 public:
  enum class Style { kBar, kLines, kSilent };
  /// kBar when stderr is a terminal, kLines otherwise.
  [[nodiscard]] static Style style_of_stderr();

  /// `what` names the work: "publishing". `unit` is what `total` counts: "rows"; without one only
  /// the share is shown. A total of zero means that it is not known: then there is no share.
  Progress(std::string what, std::string unit, std::size_t total, Style style = style_of_stderr(),
           Clock& clock = system_clock(), std::FILE* out = stderr);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Says that `done` of `total` are done. `note` is shown at the end of the line.
  void update(std::size_t done, const std::string& note = {});
  /// Shows the final state and the time it took, once.
  void finish();

 private:
  enum class Moment { kBetween, kEnd };
  void draw(Moment moment);
  [[nodiscard]] std::string position() const;

  std::string what_;
  std::string unit_;
  std::size_t total_;
  Style style_;
  Clock& clock_;
  std::FILE* out_;
  MonotonicTime begin_;
  MonotonicTime next_draw_;
  std::size_t next_line_ = 0;  // kLines: draw when this much is done
  std::size_t done_ = 0;
  std::string note_;
  bool finished_ = false;
};

/// "950", "12.4k", "3.1M": a count for people.
[[nodiscard]] std::string short_count(double count);
/// "850ms", "42s", "3m 05s", "2h 10m", "4d 3h": a duration for people.
[[nodiscard]] std::string short_duration(double seconds);

}  // namespace anomalyd::tools
