#include <array>

#include "models/registry_torch.hpp"

namespace anomalyd::models {
namespace {

struct Row {
  std::string_view kind;
  Result<std::unique_ptr<Member>> (*make)(const MemberOptions&);
};

constexpr std::array kKinds{
    Row{"predictor", make_predictor},
    Row{"pca", make_pca},
    Row{"dense_ae", make_dense_ae},
    Row{"vae", make_vae},
    Row{"channel_ae", make_channel_ae},
    Row{"memory", make_memory},
    Row{"latent_memory", make_latent_memory},
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
