// Distance of the newest window to the nearest of a bank of normal windows, channel by channel.
//
//   residual_c = sqrt( min_b |window_c - b_c|^2 / W )
//
// Codes are the values of the window, or what is left of them without their mean, which keeps the
// shape and not the level. Yeh et al., Matrix Profile I (2016), without the division by the
// standard deviation: noise on a quiet channel has no shape to compare.

#include <algorithm>
#include <cmath>

#include "models/memory_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

// Windows compared with a bank at once, so that the products stay in the cache.
constexpr std::int64_t kWindowsPerStep = 64;

class ChannelMemory final : public MemoryMember {
 public:
  ChannelMemory(std::int64_t window, bool centred, std::int64_t values)
      : window_{window}, centred_{centred}, values_{values} {}

  std::string_view kind() const override { return "memory"; }
  MemberOptions options() const override {
    return {{"window", {static_cast<double>(window_)}},
            {"centred", {centred_ ? 1.0 : 0.0}},
            {"values", {static_cast<double>(values_)}}};
  }
  bool is_network() const override { return false; }
  std::vector<std::int64_t> lags() const override { return window_lags(window_); }
  // Scoring needs none. These say which rows the model was learned from, so that another one has
  // another version.
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return {{"sums", {shape.slots, shape.channels}}};
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& /*run*/) override {
    window_ = fit_window(window_, rows.longest(0));
    std::vector<at::Tensor> sums;
    for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
      const at::Tensor ends = rows.window_ends(slot, 1).to(rows.values.device());
      sums.push_back(rows.values.index_select(0, ends).sum(0));
    }
    return Fitted{{at::stack(sums)}};
  }

  BankShape bank(std::int64_t channels) const override {
    const auto rows = static_cast<std::size_t>(window_);
    return {rows, rows, windows_in_bank(values_, window_ * channels)};
  }
  at::Tensor codes(const at::Tensor& inputs, const SlotChoice& /*choice*/) const override {
    const at::Tensor windows =
        inputs.view({inputs.size(0), window_, -1}).permute({2, 0, 1}).contiguous();
    return centred_ ? windows - windows.mean(2, /*keepdim=*/true) : windows;
  }

 private:
  std::int64_t window_;
  bool centred_;
  std::int64_t values_;  // in a bank: more channels leave room for fewer windows
};

at::Tensor view_of(const std::vector<float>& values, std::initializer_list<std::int64_t> sizes,
                   const at::Device& device) {
  auto* data = const_cast<float*>(values.data());  // from_blob takes no const; read only
  return at::from_blob(data, sizes).to(device);
}

}  // namespace

std::size_t windows_in_bank(std::int64_t values, std::int64_t cells) {
  return static_cast<std::size_t>(std::clamp<std::int64_t>(values / cells, 64, 2048));
}

double MemoryMember::operations() const {
  const std::int64_t channels = shape().channels;
  const BankShape shape = bank(channels);
  const std::int64_t compared =
      shared_width() > 0 ? shared_width() : channels * static_cast<std::int64_t>(shape.width);
  return operations_to_encode() +
         2 * static_cast<double>(compared) * static_cast<double>(shape.capacity());
}

at::Tensor MemoryMember::residuals(const at::Tensor& /*inputs*/, const at::Tensor& /*newest*/,
                                   const SlotChoice& /*choice*/) const {
  TORCH_CHECK(false, kind(), " compares windows with a memory");
}

at::Tensor nearest(const Memory::Bank& bank, const at::Tensor& codes, std::int64_t shared_width) {
  const std::int64_t channels = codes.size(0);
  const auto size = static_cast<std::int64_t>(bank.size(static_cast<std::size_t>(channels)));
  if (size == 0) return codes.new_full({channels, codes.size(1)}, NAN);
  at::Tensor known = view_of(bank.codes->values, {channels, size, bank.width}, codes.device());
  at::Tensor squares = view_of(bank.codes->squares, {channels, 1, size}, codes.device());
  at::Tensor asked = codes;
  if (shared_width > 0 && channels > 1) {  // one code of all parts, side by side
    const auto joined = [&](const at::Tensor& parts) {
      return parts.transpose(0, 1).reshape({1, parts.size(1), -1}).narrow(2, 0, shared_width);
    };
    known = joined(known);
    asked = joined(asked);
    squares = squares.sum(0, /*keepdim=*/true);
  }
  std::vector<at::Tensor> distances;
  for (const at::Tensor& part : asked.split(kWindowsPerStep, 1)) {
    // |a - b|^2 = |a|^2 + |b|^2 - 2ab says which is the nearest; the distance itself would lose all
    // its digits that way when it is small.
    const at::Tensor which = at::baddbmm(squares, part, known.transpose(1, 2), 1, -2).argmin(2);
    const at::Tensor found = known.gather(1, which.unsqueeze(2).expand({-1, -1, known.size(2)}));
    distances.push_back((part - found).square_().sum(2));
  }
  return at::cat(distances, 1)
      .div_(static_cast<double>(bank.window))
      .sqrt_()
      .expand({channels, -1});
}

Result<std::unique_ptr<Member>> make_memory(const MemberOptions& options) {
  const auto window = whole_number(options, "window", {4, 4096});
  if (!window) return Failure{window.error()};
  const auto centred = whole_number(options, "centred", {0, 1});
  if (!centred) return Failure{centred.error()};
  const auto values = whole_number(options, "values", kBankValues);
  if (!values) return Failure{values.error()};
  return std::make_unique<ChannelMemory>(*window, *centred == 1, *values);
}

}  // namespace anomalyd::models
