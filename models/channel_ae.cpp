// An autoencoder per channel: a fault in one channel leaves the residuals of the others alone.
//
//   residual = newest value - what the network makes of the window with that value hidden

#include "models/channel_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

using Newest = ChannelNetworks::Newest;

class ChannelAe final : public Member {
 public:
  explicit ChannelAe(ChannelNetworks networks) : networks_{networks} {}

  std::string_view kind() const override { return "channel_ae"; }
  MemberOptions options() const override { return networks_.to_options(); }
  std::vector<std::int64_t> lags() const override { return window_lags(networks_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return networks_.shapes(shape);
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    return networks_.fit(rows, run);
  }

  double operations() const override {
    return networks_.operations_to_encode(shape().channels) +
           networks_.operations_to_decode(shape().channels);
  }
  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override {
    const at::Tensor expected = output(inputs, choice).select(2, networks_.window - 1);
    return newest - by_window(expected, newest.sizes());
  }
  bool reconstructs() const override { return true; }
  at::Tensor window_residuals(const at::Tensor& inputs, const SlotChoice& choice) const override {
    const at::Tensor expected = output(inputs, choice);  // [(slots x) channels, n, window]
    const std::int64_t channels = inputs.size(-1) / networks_.window;
    const at::Tensor windows = expected.view({-1, channels, expected.size(1), expected.size(2)})
                                   .permute({0, 2, 3, 1})
                                   .reshape(inputs.sizes());
    return inputs - windows;
  }

 private:
  at::Tensor output(const at::Tensor& inputs, const SlotChoice& choice) const {
    const auto weights = ChannelNetworks::chosen(this->weights(), choice);
    return networks_.decode(
        weights, networks_.encode(weights, networks_.by_channel(inputs), Newest::kHidden));
  }
  // [(slots x) channels, n] -> [(slots,) n, channels]
  static at::Tensor by_window(const at::Tensor& values, at::IntArrayRef sizes) {
    return values.view({-1, sizes.back(), values.size(1)}).transpose(1, 2).reshape(sizes);
  }

  ChannelNetworks networks_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_channel_ae(const MemberOptions& options) {
  const auto networks = ChannelNetworks::parse(options);
  if (!networks) return Failure{networks.error()};
  return std::make_unique<ChannelAe>(*networks);
}

}  // namespace anomalyd::models
