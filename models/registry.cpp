#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

struct Row {
  std::string_view kind;
  Result<std::unique_ptr<Member>> (*make)(const MemberOptions&);
};

constexpr Row kKinds[] = {
    {"predictor", make_predictor},          // ridge regression of the newest row
    {"pca", make_pca},                      // linear autoencoder
    {"dense_ae", make_dense_ae},            // fully connected autoencoder
    {"vae", make_vae},                      // variational autoencoder
    {"channel_ae", make_channel_ae},        // small autoencoder for each channel
    {"memory", make_memory},                // nearest normal window
    {"latent_memory", make_latent_memory},  // nearest code of a normal window
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
