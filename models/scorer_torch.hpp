#pragma once
// Private to models/: includes torch.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/model.hpp"
#include "models/checkpoint.hpp"
#include "models/job_pool.hpp"
#include "models/member_torch.hpp"
#include "models/memory_torch.hpp"
#include "models/tensor_torch.hpp"
#include "models/torch_models.hpp"
#include "models/unfolded_torch.hpp"

namespace anomalyd::models {

/// What a checkpoint says of a member whose one slot serves all those of the model.
inline constexpr std::string_view kPooledOption = "pooled";

struct NamedMember {
  std::string name;
  std::unique_ptr<Member> member;
};

/// Scores batches with the members of one model.
///
/// On a CPU the jobs of a batch are small enough that their activations stay in the cache of one
/// core, and run on a JobPool; on an accelerator there are few and large ones, run one by one.
class TorchScorer final : public Scorer {
 public:
  /// Kind, version, members and context of `info` are filled in from `members`, which are moved
  /// to `info.device`.
  TorchScorer(ModelInfo info, std::vector<NamedMember> members, std::size_t threads);

  [[nodiscard]] const ModelInfo& info() const override { return info_; }
  [[nodiscard]] Result<Residuals> score(const Batch& batch) override;
  [[nodiscard]] Result<Memory> memorize(std::span<const float> rows, std::uint32_t slot,
                                        std::size_t learned) override;
  [[nodiscard]] Status move_to(std::string_view device) override;

  /// See torch_models.hpp for these.
  [[nodiscard]] Result<std::vector<float>> reconstruct(const Batch& batch, std::size_t member);
  [[nodiscard]] Result<std::vector<float>> errors(const Batch& batch, std::size_t member);
  [[nodiscard]] Result<Codes> encode(const Batch& batch, std::size_t member);
  [[nodiscard]] Result<std::vector<float>> decode(const Codes& codes, std::uint32_t slot,
                                                  std::size_t member);
  /// Rows that a member reads.
  [[nodiscard]] std::size_t window(std::size_t member) const;

  /// The model as a checkpoint. `storage` receives the tensors whose bytes the result points to.
  [[nodiscard]] Checkpoint to_checkpoint(std::vector<at::Tensor>& storage) const;

  /// Weights of the member of this name and kind, for slots of these series behind the pooled one;
  /// a series without a slot begins at the pooled one. None if there is no such member.
  [[nodiscard]] std::vector<at::Tensor> weights_of(const MemberSpec& spec,
                                                   std::span<const std::string> series) const;

 private:
  void place();
  [[nodiscard]] Status check(const Batch& batch) const;
  // Calls `score_job` for every job of the batch; in parallel on a CPU.
  void for_each_job(const Batch& batch, const at::Tensor& device_rows,
                    const std::function<void(const Unfolded&)>& score_job);

  // See scorer_memory.cpp for these.
  struct OfMemory {  // the windows of one series
    Memory* memory;
    ScoringJob windows;
  };
  struct Recalled;
  // None if no member has a memory. Errors: kInvalid, kIncompatible.
  [[nodiscard]] Result<std::vector<OfMemory>> by_memory(const Batch& batch) const;
  // Scores the members with a memory, series by series. No memory has changed if that throws.
  void recall(const Batch& batch, const at::Tensor& device_rows,
              const std::vector<OfMemory>& series, Residuals& result);
  [[nodiscard]] Recalled recall_one(const Batch& batch, const at::Tensor& device_rows,
                                    const OfMemory& series, Residuals& result) const;
  // The batch's rows on an accelerator, undefined on a CPU.
  [[nodiscard]] at::Tensor on_device(const Batch& batch) const;
  // Member `member`, if it has what is asked for. Errors: kInvalid.
  [[nodiscard]] Result<const Member*> reconstructing(std::size_t member) const;
  [[nodiscard]] Result<const Member*> encoding(std::size_t member) const;
  // Collects one [n, width] tensor per job.
  using WindowFn = std::function<at::Tensor(const at::Tensor& inputs, const SlotChoice& choice)>;
  [[nodiscard]] Result<std::vector<float>> over_windows(const Batch& batch, const Member& member,
                                                        std::size_t width, const WindowFn& result);

  ModelInfo info_;
  std::vector<NamedMember> members_;
  std::vector<const MemoryMember*> recalling_;  // those of info_.recalling
  std::size_t threads_;
  std::int64_t num_recent_ = 1;  // rows of the longest window; members with gaps unfold their own
  std::unique_ptr<JobPool> pool_;
};

}  // namespace anomalyd::models
