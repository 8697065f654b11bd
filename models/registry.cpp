#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

struct Row {
  std::string_view kind;
  Result<std::unique_ptr<Member>> (*make)(const MemberOptions&);
};

constexpr Row kKinds[] = {
    {"predictor", make_predictor},            // ridge regression of the newest row
    {"pca", make_pca},                        // linear autoencoder
    {"dense_ae", make_dense_ae},              // fully connected autoencoder
    {"conv_ae", make_conv_ae},                // convolutional autoencoder
    {"vae", make_vae},                        // variational autoencoder
    {"conv_vae", make_conv_vae},              // the same with convolutions
    {"cvae", make_cvae},                      // the same with conditions
    {"aae", make_aae},                        // adversarial autoencoder
    {"aae_supervised", make_aae_supervised},  // the same, with labelled windows
    {"aae_semi", make_aae_semi},              // the same, with few labelled windows
    {"aae_cluster", make_aae_cluster},        // the same, with regimes that it finds
    {"channel_ae", make_channel_ae},          // small autoencoder for each channel
    {"masked_ae", make_masked_ae},            // one for all, that predicts the newest row
    {"memory", make_memory},                  // nearest normal window
    {"latent_memory", make_latent_memory},    // nearest code of a normal window
    {"window_memory", make_window_memory},    // the same, one code of all channels
};

}  // namespace

Result<std::unique_ptr<Member>> make_member(const MemberSpec& spec) {
  std::string known;
  for (const Row& row : kKinds) {
    if (row.kind == spec.kind) {
      auto member = row.make(spec.options);
      if (!member) return fail(std::move(member.error()), "member '" + spec.name + "'");
      return member;
    }
    known += (known.empty() ? "" : ", ") + std::string{row.kind};
  }
  return fail(ErrorKind::kInvalid, "member '" + spec.name + "': found kind '" + spec.kind +
                                       "'; expected one of " + known);
}

}  // namespace anomalyd::models
