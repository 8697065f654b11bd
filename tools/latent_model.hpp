#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "tools/scaled_series.hpp"

namespace anomalyd::tools {

/// One member of a model, for what its codes and reconstructions are good for beside detection.
///
/// A code is, in this order: `content` numbers of the window's shape; one number per class, if the
/// member tells classes; what else the window depends on, such as the hour.
class LatentModel {
 public:
  enum class Need { kCodes, kReconstruction };

  /// Takes the member called `member`, or the first that has what is needed. Errors: kInvalid,
  /// naming the members that there are.
  [[nodiscard]] static Result<LatentModel> open(std::unique_ptr<Scorer> scorer, Need need,
                                                const std::string& member = {});

  [[nodiscard]] const ModelInfo& info() const { return scorer_->info(); }
  [[nodiscard]] const std::string& member_name() const { return info().members[member_]; }
  [[nodiscard]] std::size_t channels() const { return info().channels.size(); }
  [[nodiscard]] std::size_t window() const { return window_; }  ///< Rows of a window.
  [[nodiscard]] std::size_t width() const { return width_; }    ///< Numbers of a code.
  [[nodiscard]] std::size_t content() const { return content_; }
  [[nodiscard]] std::size_t classes() const { return classes_; }

  using ProgressFn = std::function<void(std::size_t windows_done)>;

  /// Codes of the windows of `series` that end at `ends`, [windows x width].
  [[nodiscard]] Result<std::vector<float>> encode(const ScaledSeries& series,
                                                  std::span<const std::size_t> ends,
                                                  const ProgressFn& progress = {});
  /// What the member expects of windows, [windows x window x channels]. `rows` take the place of
  /// those of the series and have no missing cell.
  [[nodiscard]] Result<std::vector<float>> reconstruct(const ScaledSeries& series,
                                                       std::span<const float> rows,
                                                       std::span<const std::size_t> ends);
  /// The windows that codes stand for, [codes x window x channels].
  [[nodiscard]] Result<std::vector<float>> decode(std::vector<float> codes, std::uint32_t slot);

 private:
  LatentModel(std::unique_ptr<Scorer> scorer, std::size_t member)
      : scorer_{std::move(scorer)}, member_{member} {}
  [[nodiscard]] Status measure(Need need);
  [[nodiscard]] Batch batch_of(const ScaledSeries& series, std::span<const float> rows,
                               std::span<const std::size_t> ends);

  std::unique_ptr<Scorer> scorer_;
  std::size_t member_;
  Memory memory_;  // of any series: models with a memory ask for one, codes do not use it
  std::size_t window_ = 0;
  std::size_t width_ = 0;
  std::size_t content_ = 0;
  std::size_t classes_ = 0;
};

}  // namespace anomalyd::tools
