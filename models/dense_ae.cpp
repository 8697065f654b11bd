// Fully connected autoencoder: window -> hidden layers -> code -> hidden layers -> window.
//
//   loss = mean over observed cells of (x - decode(encode(x)))^2
//
// ReLU after every layer but the code and the output. Hinton and Salakhutdinov, Reducing the
// dimensionality of data with neural networks (2006).

#include "models/autoencoder_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {

Result<std::unique_ptr<Member>> make_dense_ae(const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kDense, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  return std::make_unique<Autoencoder>("dense_ae", std::move(*trunk));
}

}  // namespace anomalyd::models
