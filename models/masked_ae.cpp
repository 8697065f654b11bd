// One autoencoder of all channels that predicts the newest row: it sees the others of the window,
// and learned what to say with the newest one hidden.
//
//   residual = newest row - what the network makes of the window with that row hidden

#include "models/masked_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

using Newest = MaskedNetwork::Newest;

class MaskedAe final : public Member {
 public:
  explicit MaskedAe(MaskedNetwork network) : network_{std::move(network)} {}

  std::string_view kind() const override { return "masked_ae"; }
  MemberOptions options() const override { return network_.trunk.to_options(); }
  std::vector<std::int64_t> lags() const override { return window_lags(network_.trunk.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return network_.shapes(shape);
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    return network_.fit(rows, run);
  }

  double operations() const override { return operations_of(newest_); }
  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override {
    return residual(newest_, network_.inputs(inputs, Newest::kHidden), newest, choice);
  }
  bool reconstructs() const override { return true; }
  at::Tensor window_residuals(const at::Tensor& inputs, const SlotChoice& choice) const override {
    return residual(network_.all_layers(weights(), shape().channels),
                    network_.inputs(inputs, Newest::kHidden), inputs, choice);
  }

 protected:
  void prepare() override {
    newest_ = for_newest_row(network_.all_layers(weights(), shape().channels),
                             network_.trunk.window);
  }

 private:
  MaskedNetwork network_;
  std::vector<Layer> newest_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_masked_ae(const MemberOptions& options) {
  auto network = MaskedNetwork::parse(options);
  if (!network) return Failure{std::move(network.error())};
  return std::make_unique<MaskedAe>(std::move(*network));
}

}  // namespace anomalyd::models
