#include "models/gradient_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

// Of [1, n, window, channels]: true where a cell is hidden.
at::Tensor hidden_cells(at::IntArrayRef sizes, Corruption corruption, double amount,
                        at::Generator& noise) {
  const std::int64_t n = sizes[1], window = sizes[2], channels = sizes[3];
  const auto draw = [&](at::IntArrayRef shape) {
    return at::rand(shape, noise, at::TensorOptions{at::kFloat});
  };
  if (corruption == Corruption::kMasking) return draw({1, n, window, channels}) < amount;
  const at::Tensor chosen = draw({1, n, 1, channels}) < amount;
  if (corruption == Corruption::kFeatures) return chosen.expand(sizes);
  const at::Tensor length = 1 + (draw({1, n, 1, channels}) * (window / 2)).floor();
  const at::Tensor first = (draw({1, n, 1, channels}) * (window + 1 - length)).floor();
  const at::Tensor row = at::arange(window, at::TensorOptions{at::kFloat}).view({1, 1, -1, 1});
  return chosen.logical_and(row >= first).logical_and(row < first + length);
}

// [.., n, window, channels]: hidden cells hold the value of the last one that is not, or 0.
at::Tensor hold_last(const at::Tensor& windows, const at::Tensor& hidden) {
  const std::int64_t window = windows.size(2);
  const at::Tensor row = at::arange(window, windows.options().dtype(at::kLong)).view({1, 1, -1, 1});
  const at::Tensor seen = at::where(hidden, at::full({1}, -1, row.options()), row);
  const at::Tensor last = std::get<0>(at::cummax(seen, 2)).expand(windows.sizes());
  return windows.gather(2, last.clamp_min(0)) * (last >= 0);
}

}  // namespace

at::Tensor corrupted(const at::Tensor& windows, std::int64_t channels, Corruption corruption,
                     double amount, at::Generator& noise) {
  if (corruption == Corruption::kNone || amount == 0) return windows;
  const at::Tensor cells =
      windows.view({windows.size(0), windows.size(1), windows.size(2) / channels, channels});
  std::vector<std::int64_t> sizes = cells.sizes().vec();
  sizes[0] = 1;  // all slots alike, so that each learns as it would alone
  if (corruption == Corruption::kGaussian) {
    const at::Tensor error = at::randn(sizes, noise, at::TensorOptions{at::kFloat}) * amount;
    return (cells + error.to(windows.device())).view(windows.sizes());
  }
  const at::Tensor hidden = hidden_cells(sizes, corruption, amount, noise).to(windows.device());
  return hold_last(cells, hidden).view(windows.sizes());
}

}  // namespace anomalyd::models
