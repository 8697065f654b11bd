// Fully connected autoencoder: window -> hidden layers -> code -> hidden layers -> window.
//
//   loss = mean over observed cells of (x - decode(encode(x)))^2
//
// ReLU after every layer but the code and the output. Hinton and Salakhutdinov, Reducing the
// dimensionality of data with neural networks (2006).

#include "models/dense_torch.hpp"
#include "models/gradient_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

class DenseAe final : public Member {
 public:
  explicit DenseAe(DenseOptions options) : dense_{std::move(options)} {}

  std::string_view kind() const override { return "dense_ae"; }
  MemberOptions options() const override { return dense_.to_options(); }
  std::vector<std::int64_t> lags() const override { return window_lags(dense_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return dense_shapes(dense_.widths(shape.channels), shape.slots);
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    dense_.window = fit_window(dense_.window, rows.longest(0));
    const auto loss = [this](const std::vector<at::Tensor>& parameters,
                             const TrainingBatch& batch) {
      return masked_square_error(forward(layers(parameters), batch.windows), batch);
    };
    return minimise(loss, starting_weights(dense_.widths(rows.channels()), rows, run.options.seed),
                    rows, dense_.window, run);
  }

 protected:
  std::vector<Layer> newest_layers() const override {
    return for_newest_row(layers(weights()), dense_.window);
  }
  std::vector<Layer> window_layers() const override { return layers(weights()); }

 private:
  std::vector<Layer> layers(const std::vector<at::Tensor>& parameters) const {
    return dense_layers(parameters, dense_.code_layer());
  }

  DenseOptions dense_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_dense_ae(const MemberOptions& options) {
  auto dense = DenseOptions::parse(options);
  if (!dense) return Failure{std::move(dense.error())};
  return std::make_unique<DenseAe>(std::move(*dense));
}

}  // namespace anomalyd::models
