#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/pipeline/labels.hpp"
#include "tools/fleet.hpp"
#include "tools/history_collector.hpp"
#include "tools/latent_model.hpp"

namespace anomalyd::tools {

/// What the styles of a group are called: as the series, or as `labels` say.
[[nodiscard]] std::vector<std::string> styles_of(const HistoryCollector::Group& group,
                                                 std::span<const pipeline::Label> labels);

/// Codes of windows in two parts: content, the shape of a window, and style, of which series it is
/// or in which mode.
///
/// An `aae_supervised` whose classes are the styles. Its encoder recognises the style of a window;
/// its decoder is told that beside the content, which is too narrow to hold it as well (as in
/// AutoVC, Qian et al. 2019), and compared with draws of one distribution by a discriminator that
/// knows the style. All series are scaled alike, so that levels are part of the style. Three tenths
/// of the rows are held out: see HeldOut.
class Disentangling {
 public:
  /// Learns from all series of `group`. A row is in the style that `labels` say, or "normal"
  /// between them; without labels that of its series. Errors: kInvalid (fewer than 2 or more than
  /// 64 styles, a style whose name begins with "fault: "), and those of ModelFactory::train.
  [[nodiscard]] static Result<Disentangling> learn(const HistoryCollector::Group& group,
                                                   std::span<const pipeline::Label> labels,
                                                   ModelFactory& factory,
                                                   const ProgressFn& progress,
                                                   std::stop_token stop);

  [[nodiscard]] const std::vector<std::string>& styles() const { return model_.info().classes; }
  [[nodiscard]] const std::vector<ScaledSeries>& series() const { return series_; }

  /// How far content and style have come apart, on windows held out; shares are 0..1.
  struct Figures {
    std::size_t windows = 0;
    double chance = 0;        ///< The most frequent style.
    double from_windows = 0;  ///< How often a probe knows the style by the real windows,
    double from_style = 0;    ///< by the style part of their codes,
    double from_content = 0;  ///< by the content part.
    double swapped = 0;       ///< How often it takes a window in another style for one of that.
    double shape_kept = 0;    ///< Mean correlation of channels of those with what they were.

    [[nodiscard]] std::string table() const;
  };
  /// Errors: kInvalid when fewer than 100 windows were held out, or of a style none.
  [[nodiscard]] Result<Figures> figures();

  /// The rows of a series in another style, [rows x channels] in raw units, NaN where a cell is
  /// missing or in no window of its own: x + decode(content, other) - decode(content, style).
  [[nodiscard]] Result<std::vector<double>> restyled(const ScaledSeries& series, std::size_t style);

 private:
  explicit Disentangling(LatentModel model) : model_{std::move(model)} {}
  /// Windows of one series with their codes, and styles [windows].
  struct Windows {
    std::vector<std::size_t> ends;
    std::vector<float> codes;
    std::vector<std::size_t> styles;
  };
  [[nodiscard]] Result<Windows> windows(std::size_t series, bool held_out);
  /// What the decoder would add to the windows of these codes in the style `to(window)`.
  [[nodiscard]] Result<std::vector<float>> change(
      std::span<const float> codes, const std::function<std::size_t(std::size_t)>& to);

  LatentModel model_;
  std::vector<ScaledSeries> series_;
  std::vector<std::vector<std::size_t>> style_of_row_;  // [series][rows]
};

/// Machines whose sensors answer to the load in ways of their own.
[[nodiscard]] Fleet::Options disentangling_fleet();

}  // namespace anomalyd::tools
