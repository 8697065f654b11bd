#pragma once
// Private to models/: includes torch.

#include <memory>
#include <string_view>

#include "daemon/core/result.hpp"
#include "models/member_torch.hpp"

namespace anomalyd::models {

// One per kind; each checks its options and is defined in the file of its name.
[[nodiscard]] Result<std::unique_ptr<Member>> make_predictor(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_pca(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_dense_ae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_channel_ae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_memory(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_latent_memory(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_window_memory(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_masked_ae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_vae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_conv_ae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_conv_vae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_cvae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_aae(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_aae_supervised(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_aae_semi(const MemberOptions& options);
[[nodiscard]] Result<std::unique_ptr<Member>> make_aae_cluster(const MemberOptions& options);

/// Makes a member without weights, for training or for the weights of a checkpoint.
/// Errors: kInvalid (no such kind, or options it cannot have).
[[nodiscard]] Result<std::unique_ptr<Member>> make_member(const MemberSpec& spec);

}  // namespace anomalyd::models
