#pragma once
// Private to models/: includes torch.

#include "daemon/core/memory.hpp"
#include "models/member_torch.hpp"
#include "models/memory_bank.hpp"

namespace anomalyd::models {

/// Bounds of the option `values`: how many cells of windows a bank stands for.
inline constexpr Range kBankValues{1, 1 << 24};
/// Windows that `values` cells leave in a bank, of so many cells each.
[[nodiscard]] std::size_t windows_in_bank(std::int64_t values, std::int64_t cells);

/// A member that compares the code of a window with codes of normal windows: its residual is the
/// distance to the nearest one, per channel. The codes are in the Memory of each series, and its
/// weights, if it has any, are those of the encoder.
///
/// A code that all channels share is laid out as if each had a part of it. Then the residual of
/// each channel is the whole distance, since it belongs to none more than to another.
class MemoryMember : public Member {
 public:
  /// What its banks are for so many channels.
  [[nodiscard]] virtual BankShape bank(std::int64_t channels) const = 0;
  /// Numbers in a code that all channels share; 0 if each has its own.
  [[nodiscard]] virtual std::int64_t shared_width() const { return 0; }
  /// Codes of windows of one slot: [n, window x channels] -> [channels, n, bank(channels).width].
  [[nodiscard]] virtual at::Tensor codes(const at::Tensor& inputs,
                                         const SlotChoice& choice) const = 0;

  [[nodiscard]] double operations() const final;
  [[nodiscard]] bool recalls() const final { return true; }
  [[nodiscard]] at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                     const SlotChoice& choice) const final;

 protected:
  /// Floating-point operations that the code of one window takes.
  [[nodiscard]] virtual double operations_to_encode() const { return 0; }
};

/// Distances of `codes` [channels, n, width] to the nearest code of the bank: [channels, n], the
/// root of the sum of squares over `bank.window`. NaN while the bank is empty. Codes of which all
/// channels share `shared_width` numbers are as far off in each channel.
[[nodiscard]] at::Tensor nearest(const Memory::Bank& bank, const at::Tensor& codes,
                                 std::int64_t shared_width);

}  // namespace anomalyd::models
