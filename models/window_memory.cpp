// A memory of codes of whole windows: all channels make one code, so it knows which states of the
// channels go together.
//
//   residual_c = sqrt( min_b |code - b|^2 / W )   for every channel c, codes of variance 1
//
// The distance belongs to no channel more than to another: each has it in full, and so an equal
// share of what this member says. The encoder is that of masked_torch.hpp.

#include "models/masked_torch.hpp"
#include "models/memory_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

class WindowMemory final : public MemoryMember {
 public:
  WindowMemory(MaskedNetwork network, std::int64_t values)
      : network_{std::move(network)}, values_{values} {}

  std::string_view kind() const override { return "window_memory"; }
  MemberOptions options() const override {
    MemberOptions options = network_.trunk.to_options();
    options["values"] = {static_cast<double>(values_)};
    return options;
  }
  std::vector<std::int64_t> lags() const override { return window_lags(network_.trunk.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return network_.shapes(shape);
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    return network_.fit(rows, run);
  }

  BankShape bank(std::int64_t channels) const override {
    const std::int64_t part = (shared_width() + channels - 1) / channels;
    return {static_cast<std::size_t>(network_.trunk.window), static_cast<std::size_t>(part),
            windows_in_bank(values_, network_.trunk.window)};
  }
  std::int64_t shared_width() const override { return network_.trunk.latent; }

  // Laid out as if each channel had a part of the code, and filled up with zeros.
  at::Tensor codes(const at::Tensor& inputs, const SlotChoice& choice) const override {
    const std::int64_t channels = inputs.size(-1) / network_.trunk.window;
    const auto part = static_cast<std::int64_t>(bank(channels).width);
    const at::Tensor code =
        forward(encoder_, network_.inputs(inputs, MaskedNetwork::Newest::kSeen), choice);
    return at::constant_pad_nd(code, {0, channels * part - shared_width()})
        .view({code.size(0), channels, part})
        .transpose(0, 1)
        .contiguous();
  }

 protected:
  double operations_to_encode() const override { return operations_of(encoder_); }
  void prepare() override { encoder_ = network_.encoder(weights(), shape().channels); }

 private:
  MaskedNetwork network_;
  std::int64_t values_;
  std::vector<Layer> encoder_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_window_memory(const MemberOptions& options) {
  auto network = MaskedNetwork::parse(options);
  if (!network) return Failure{std::move(network.error())};
  const auto values = whole_number(options, "values", kBankValues);
  if (!values) return Failure{values.error()};
  return std::make_unique<WindowMemory>(std::move(*network), *values);
}

}  // namespace anomalyd::models
