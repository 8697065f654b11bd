// Convolutional autoencoder: the loss of dense_ae, with layers that see five neighbouring rows at a
// time and use the same weights all along the window. Each halves the number of positions on the
// way to the code, and repeats each position twice on the way back.
//
// Masci et al., Stacked convolutional auto-encoders (2011); repeating instead of transposed
// convolutions: Odena et al., Deconvolution and checkerboard artifacts (2016).

#include "models/autoencoder_torch.hpp"
#include "models/registry_torch.hpp"

namespace anomalyd::models {

Result<std::unique_ptr<Member>> make_conv_ae(const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kConvolutional, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  return std::make_unique<Autoencoder>("conv_ae", std::move(*trunk));
}

}  // namespace anomalyd::models
