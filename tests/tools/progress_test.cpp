#include "tools/progress.hpp"

#include <gmock/gmock.h>

#include <array>
#include <chrono>

namespace anomalyd::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class ManualClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return now_; }
  EventTime wall() const override { return {}; }
  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  MonotonicTime now_{};
};

/// What a Progress prints, captured.
class Output {
 public:
  ~Output() { std::fclose(file_); }
  std::FILE* file() { return file_; }
  std::string text() {
    std::rewind(file_);
    std::array<char, 8192> buffer{};
    return {buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file_)};
  }

 private:
  std::FILE* file_ = std::tmpfile();
};

TEST(Progress, PrintsAPlainLineEveryTenthOfTheWay) {
  ManualClock clock;
  Output out;
  Progress progress{"publishing", "rows", 1000, Progress::Style::kLines, clock, out.file()};
  for (std::size_t done = 1; done <= 1000; ++done) {
    clock.advance(100ms);
    progress.update(done);
  }
  progress.finish();
  const std::string text = out.text();
  EXPECT_EQ(std::ranges::count(text, '\n'), 11);
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, HasSubstr("publishing 100 %  1.0k/1.0k rows  10/s  took 1m 40s"));
}

TEST(Progress, RedrawsABarAtMostTenTimesASecond) {
  ManualClock clock;
  Output out;
  Progress progress{"training", "steps", 100, Progress::Style::kBar, clock, out.file()};
  for (std::size_t done = 1; done <= 50; ++done) {
    clock.advance(10ms);
    progress.update(done, "pca");
  }
  const std::string text = out.text();
  EXPECT_EQ(std::ranges::count(text, '\r'), 5);
  EXPECT_THAT(text,
              HasSubstr("[=========               ]  41 %  41/100 steps  100/s  590ms left  pca"));
}

TEST(Progress, ShowsCountAndRateWhenTheTotalIsUnknown) {
  ManualClock clock;
  Output out;
  Progress progress{"reading", "records", 0, Progress::Style::kLines, clock, out.file()};
  clock.advance(2s);
  progress.update(5000);
  EXPECT_EQ(out.text(), "reading 5.0k records  2.5k/s\n");
}

TEST(Progress, IsSilentWhenAsked) {
  ManualClock clock;
  Output out;
  { Progress progress{"x", "y", 10, Progress::Style::kSilent, clock, out.file()}; }
  EXPECT_EQ(out.text(), "");
}

TEST(ShortText, FitsPeople) {
  EXPECT_EQ(short_count(950), "950");
  EXPECT_EQ(short_count(12'400), "12.4k");
  EXPECT_EQ(short_count(3.14e6), "3.1M");
  EXPECT_EQ(short_duration(0.85), "850ms");
  EXPECT_EQ(short_duration(185), "3m 05s");
  EXPECT_EQ(short_duration(7800), "2h 10m");
  EXPECT_EQ(short_duration(356400), "4d 3h");
}

}  // namespace
}  // namespace anomalyd::tools
