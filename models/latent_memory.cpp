// Distance of the newest window's code to the nearest of a bank of codes of normal windows, channel
// by channel. The encoder is that of an autoencoder per channel (channel_torch.hpp).
//
//   residual_c = sqrt( min_b |code_c - b_c|^2 / W ),   codes of variance 1 in each dimension
//
// A quarter of the work that comparing the windows themselves takes.

#include <algorithm>

#include "models/channel_torch.hpp"
#include "models/memory_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

class LatentMemory final : public MemoryMember {
 public:
  LatentMemory(ChannelNetworks networks, std::int64_t values)
      : networks_{networks}, values_{values} {}

  std::string_view kind() const override { return "latent_memory"; }
  MemberOptions options() const override {
    MemberOptions options = networks_.to_options();
    options["values"] = {static_cast<double>(values_)};
    return options;
  }
  std::vector<std::int64_t> lags() const override { return window_lags(networks_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return networks_.shapes(shape);
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    return networks_.fit(rows, run);
  }

  BankShape bank(std::int64_t channels) const override {
    return {static_cast<std::size_t>(networks_.window), static_cast<std::size_t>(networks_.latent),
            windows_in_bank(values_, networks_.window * channels)};
  }
  double operations_to_encode() const override {
    return networks_.operations_to_encode(shape().channels);
  }
  at::Tensor codes(const at::Tensor& inputs, const SlotChoice& choice) const override {
    return networks_.encode(ChannelNetworks::chosen(weights(), choice),
                            networks_.by_channel(inputs), ChannelNetworks::Newest::kSeen);
  }

 private:
  ChannelNetworks networks_;
  std::int64_t values_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_latent_memory(const MemberOptions& options) {
  const auto networks = ChannelNetworks::parse(options);
  if (!networks) return Failure{networks.error()};
  const auto values = whole_number(options, "values", kBankValues);
  if (!values) return Failure{values.error()};
  return std::make_unique<LatentMemory>(*networks, *values);
}

}  // namespace anomalyd::models
