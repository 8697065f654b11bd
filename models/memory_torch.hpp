#pragma once
// Private to models/: includes torch.

#include "daemon/core/memory.hpp"
#include "models/member_torch.hpp"

namespace anomalyd::models {

/// Bounds of the option `values`: how many cells of windows a bank stands for.
inline constexpr Range kBankValues{1, 1 << 24};
/// Windows that `values` cells leave in a bank, of so many cells each.
[[nodiscard]] std::int64_t windows_in_bank(std::int64_t values, std::int64_t cells);

/// A member that compares the code of a window with codes of normal windows: its residual is the
/// distance to the nearest one, per channel. The codes are in the Memory of each series, and its
/// weights, if it has any, are those of the encoder.
///
/// A code of a whole window is laid out as if every channel had a part of it; then each channel's
/// residual is the whole distance, since it belongs to none more than to another.
class MemoryMember : public Member {
 public:
  /// Numbers in the code of one channel.
  [[nodiscard]] virtual std::int64_t code_width(std::int64_t channels) const = 0;
  /// Whether all channels share one code.
  [[nodiscard]] virtual bool is_whole() const { return false; }
  /// Windows that the rows learned from leave in a bank.
  [[nodiscard]] virtual std::int64_t bank_windows(std::int64_t channels) const = 0;
  /// Codes of windows of one slot: [n, window x channels] -> [channels, n, code_width].
  [[nodiscard]] virtual at::Tensor codes(const at::Tensor& inputs,
                                         const SlotChoice& choice) const = 0;

  [[nodiscard]] bool recalls() const final { return true; }
  [[nodiscard]] at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                     const SlotChoice& choice) const final;
};

/// Which codes a distance is one of.
enum class Distance : std::uint8_t { kOfChannels, kOfWholeWindows };

/// Distances of `codes` [channels, n, width] to the nearest code of the bank: [channels, n], the
/// root of the sum of squares over `bank.window`. NaN while the bank is empty. Distances of whole
/// windows are the same for all channels.
[[nodiscard]] at::Tensor nearest(const Memory::Bank& bank, const at::Tensor& codes,
                                 Distance distance);

}  // namespace anomalyd::models
