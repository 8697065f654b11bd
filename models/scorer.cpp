
#include <algorithm>
#include <utility>

#include "models/device.hpp"
#include "models/scorer_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

// On a CPU a batch should be shared by all threads; an accelerator takes all it can get.
constexpr std::size_t kSmallestBlock = 64;
constexpr std::size_t kLargestBlock = 512;
constexpr std::size_t kAcceleratorBlock = std::size_t{1} << 16;
constexpr std::size_t kAcceleratorCells = std::size_t{1} << 28;  // 1 GB

std::string kind_of(const std::vector<NamedMember>& members) {
  const std::string_view first = members.front().member->kind();
  const bool same = std::ranges::all_of(
      members, [&](const NamedMember& entry) { return entry.member->kind() == first; });
  return same ? std::string{first} : "ensemble";
}

// The products of a job run on one thread; jobs share the cores among them.
void use_one_thread() {
  if (at::get_num_threads() != 1) at::set_num_threads(1);
}

}  // namespace

TorchScorer::TorchScorer(ModelInfo info, std::vector<NamedMember> members, std::size_t threads)
    : info_{std::move(info)}, members_{std::move(members)}, threads_{threads} {
  info_.kind = kind_of(members_);
  for (const NamedMember& entry : members_) {
    const std::vector<std::int64_t> lags = entry.member->lags();
    info_.context = std::max(info_.context, static_cast<std::size_t>(lags.front()) + 1);
    if (is_run(lags)) num_recent_ = std::max(num_recent_, lags.front() + 1);
    if (const auto* memory = dynamic_cast<const MemoryMember*>(entry.member.get())) {
      recalling_.push_back(memory);
      info_.recalling.push_back(info_.members.size());
      info_.code_widths.push_back(
          static_cast<std::uint32_t>(memory->bank(memory->shape().channels).width));
    }
    info_.members.push_back(entry.name);
  }
  place();
  std::vector<at::Tensor> storage;
  info_.version = content_version(to_checkpoint(storage));
}

void TorchScorer::place() {
  const at::Device device{info_.device};
  for (const NamedMember& entry : members_) {
    std::vector<at::Tensor> weights = entry.member->weights();
    for (at::Tensor& weight : weights) weight = weight.to(device).contiguous();
    entry.member->adopt(std::move(weights), entry.member->shape());
  }
  pool_ = std::make_unique<JobPool>(device.is_cpu() ? threads_ : 1, use_one_thread);
}

Status TorchScorer::move_to(std::string_view device) {
  const auto resolved = pick_device(device);
  if (!resolved) return Failure{resolved.error()};
  const std::string before = std::exchange(info_.device, *resolved);
  Status moved = without_exceptions([&]() -> Status {
    place();
    return {};
  });
  if (!moved) info_.device = before;
  return moved;
}

Status TorchScorer::check(const Batch& batch) const {
  if (batch.channels != info_.channels.size() || batch.context != info_.context) {
    return fail(ErrorKind::kIncompatible, "batch: found " + std::to_string(batch.channels) +
                                              " channels and context " +
                                              std::to_string(batch.context) + "; expected " +
                                              std::to_string(info_.channels.size()) + " and " +
                                              std::to_string(info_.context));
  }
  const std::size_t num_rows = batch.num_rows();
  for (const Batch::Window& window : batch.windows) {
    if (window.end_row + std::size_t{1} < batch.context || window.end_row >= num_rows) {
      return fail(ErrorKind::kInvalid, "batch: found a window that ends at row " +
                                           std::to_string(window.end_row) + " of " +
                                           std::to_string(num_rows) + "; expected at least " +
                                           std::to_string(batch.context) + " rows up to it");
    }
    if (window.slot > info_.slots.size()) {
      return fail(ErrorKind::kIncompatible, "batch: found slot " + std::to_string(window.slot) +
                                                "; expected at most " +
                                                std::to_string(info_.slots.size()));
    }
  }
  return {};
}

at::Tensor TorchScorer::on_device(const Batch& batch) const {
  const at::Device device{info_.device};
  if (device.is_cpu()) return {};
  auto* rows = const_cast<float*>(batch.rows.data());  // from_blob takes no const; read only
  return at::from_blob(rows, {static_cast<std::int64_t>(batch.num_rows()),
                              static_cast<std::int64_t>(batch.channels)})
      .to(device);
}

void TorchScorer::for_each_job(const Batch& batch, const at::Tensor& device_rows,
                               const std::function<void(const Unfolded&)>& score_job) {
  const std::size_t share = (batch.windows.size() + pool_->threads() - 1) / pool_->threads();
  const auto cells = static_cast<std::int64_t>(batch.context * batch.channels);
  const std::size_t block =
      device_rows.defined()
          ? std::clamp<std::size_t>(kAcceleratorCells / static_cast<std::size_t>(cells), 1,
                                    kAcceleratorBlock)
          : std::min(std::clamp(share, kSmallestBlock, kLargestBlock),
                     static_cast<std::size_t>(windows_at_once(cells)));
  const std::vector<ScoringJob> jobs = plan_jobs(batch.windows, block);
  use_one_thread();
  pool_->run(jobs.size(), [&](std::size_t i) {
    const c10::InferenceMode on_this_thread;
    score_job(Unfolded{batch, device_rows, jobs[i], num_recent_});
  });
}

Result<Residuals> TorchScorer::score(const Batch& batch) {
  if (Status ok = check(batch); !ok) return Failure{ok.error()};
  const auto series = by_memory(batch);
  if (!series) return Failure{series.error()};
  Residuals result{members_.size(), info_.channels.size(), {}};
  const std::size_t stride = result.members * result.channels;
  result.values.resize(batch.windows.size() * stride);
  if (!info_.classes.empty()) result.classes.resize(batch.windows.size());
  const Status scored = without_exceptions([&]() -> Status {
    const c10::InferenceMode inference;
    const at::Tensor device_rows = on_device(batch);
    for_each_job(batch, device_rows, [&](const Unfolded& windows) {
      const at::Tensor newest = windows.newest();
      for (std::size_t i = 0; i < members_.size(); ++i) {
        const Member& member = *members_[i].member;
        if (member.recalls()) continue;
        const at::Tensor inputs = windows.inputs(member);
        windows.scatter(member.residuals(inputs, newest, windows.choice()),
                        result.values.data() + i * result.channels, stride);
        if (member.num_classes() == 0) continue;
        windows.scatter(member.classify(inputs, windows.choice()).to(at::kShort),
                        result.classes.data(), 1);
      }
    });
    recall(batch, device_rows, *series, result);
    return {};
  });
  if (!scored) return Failure{scored.error()};
  return result;
}

Result<const Member*> TorchScorer::reconstructing(std::size_t member) const {
  if (member < members_.size() && members_[member].member->reconstructs()) {
    return members_[member].member.get();
  }
  return fail(ErrorKind::kInvalid, "member " + std::to_string(member) +
                                       ": found none that reconstructs; expected an autoencoder");
}

Result<const Member*> TorchScorer::encoding(std::size_t member) const {
  if (member < members_.size() && members_[member].member->latent_width() > 0) {
    return members_[member].member.get();
  }
  return fail(ErrorKind::kInvalid, "member " + std::to_string(member) +
                                       ": found none with codes of whole windows; expected an "
                                       "autoencoder of all channels, such as dense_ae");
}

Result<std::vector<float>> TorchScorer::over_windows(const Batch& batch, const Member& member,
                                                     std::size_t width, const WindowFn& result) {
  if (Status ok = check(batch); !ok) return Failure{ok.error()};
  return without_exceptions([&]() -> Result<std::vector<float>> {
    const c10::InferenceMode inference;
    std::vector<float> values(batch.windows.size() * width);
    for_each_job(batch, on_device(batch), [&](const Unfolded& windows) {
      windows.scatter(result(windows.inputs(member), windows.choice()), values.data(), width);
    });
    return values;
  });
}

Result<std::vector<float>> TorchScorer::reconstruct(const Batch& batch, std::size_t member) {
  const auto chosen = reconstructing(member);
  if (!chosen) return Failure{chosen.error()};
  const std::size_t width = window(member) * info_.channels.size();
  return over_windows(batch, **chosen, width,
                      [&](const at::Tensor& inputs, const SlotChoice& choice) {
                        const at::Tensor residuals = (*chosen)->window_residuals(inputs, choice);
                        return inputs.narrow(-1, 0, residuals.size(-1)) - residuals;
                      });
}

Result<std::vector<float>> TorchScorer::errors(const Batch& batch, std::size_t member) {
  const auto chosen = reconstructing(member);
  if (!chosen) return Failure{chosen.error()};
  return over_windows(batch, **chosen, 1, [&](const at::Tensor& inputs, const SlotChoice& choice) {
    return (*chosen)->window_residuals(inputs, choice).square_().mean(-1);
  });
}

Result<Codes> TorchScorer::encode(const Batch& batch, std::size_t member) {
  const auto chosen = encoding(member);
  if (!chosen) return Failure{chosen.error()};
  Codes codes;
  codes.latent = static_cast<std::size_t>((*chosen)->latent_width());
  const Conditions* conditions = (*chosen)->conditions();
  codes.width =
      codes.latent + (conditions == nullptr ? 0 : static_cast<std::size_t>(conditions->width()));
  auto values = over_windows(batch, **chosen, codes.width,
                             [&](const at::Tensor& inputs, const SlotChoice& choice) {
                               return (*chosen)->encode(inputs, choice);
                             });
  if (!values) return Failure{std::move(values.error())};
  codes.values = *std::move(values);
  return codes;
}

Result<std::vector<float>> TorchScorer::decode(const Codes& codes, std::uint32_t slot,
                                               std::size_t member) {
  const auto chosen = encoding(member);
  if (!chosen) return Failure{chosen.error()};
  if (slot > info_.slots.size()) {
    return fail(ErrorKind::kIncompatible, "codes: found slot " + std::to_string(slot) +
                                              "; expected at most " +
                                              std::to_string(info_.slots.size()));
  }
  return without_exceptions([&]() -> Result<std::vector<float>> {
    const c10::InferenceMode inference;
    const at::Tensor inputs = at::tensor(codes.values)
                                  .view({-1, static_cast<std::int64_t>(codes.width)})
                                  .to(at::Device{info_.device});
    const at::Tensor windows =
        (*chosen)->decode(inputs, SlotChoice{static_cast<std::int64_t>(slot)}).cpu().contiguous();
    const auto* values = windows.data_ptr<float>();
    return std::vector<float>(values, values + windows.numel());
  });
}

std::size_t TorchScorer::window(std::size_t member) const {
  return member < members_.size() ? members_[member].member->lags().size() : 0;
}

std::vector<at::Tensor> TorchScorer::weights_of(const MemberSpec& spec,
                                                std::span<const std::string> series) const {
  const auto found = std::ranges::find(members_, spec.name, &NamedMember::name);
  if (found == members_.end() || found->member->kind() != spec.kind) return {};
  std::vector<at::Tensor> weights = found->member->weights();
  if (found->member->shape().slots == 1) return weights;
  std::vector<std::int64_t> slots{0};
  for (const std::string& id : series) {
    const auto slot = std::ranges::find(info_.slots, id);
    slots.push_back(slot == info_.slots.end() ? 0 : 1 + (slot - info_.slots.begin()));
  }
  for (at::Tensor& weight : weights) {
    weight = weight.index_select(0, at::tensor(slots, at::kLong).to(weight.device()));
  }
  return weights;
}

Checkpoint TorchScorer::to_checkpoint(std::vector<at::Tensor>& storage) const {
  Checkpoint checkpoint;
  checkpoint.kind = info_.kind;
  checkpoint.choice = info_.choice;
  checkpoint.context = info_.context;
  checkpoint.channels = info_.channels;
  checkpoint.slots = info_.slots;
  checkpoint.entities = info_.entities;
  checkpoint.classes = info_.classes;
  checkpoint.libtorch = libtorch_version();
  for (const NamedMember& entry : members_) {
    const Member& member = *entry.member;
    StoredMember stored{{entry.name, std::string{member.kind()}, member.options()}, {}};
    if (!info_.slots.empty() && member.shape().slots == 1) {
      stored.spec.options[std::string{kPooledOption}] = {1};
    }
    const std::vector<WeightShape> shapes = member.shapes(member.shape());
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const at::Tensor& weight = storage.emplace_back(member.weights()[i].cpu().contiguous());
      const auto values = static_cast<std::size_t>(weight.numel());
      stored.weights.push_back({shapes[i].name, shapes[i].sizes,
                                std::as_bytes(std::span{weight.data_ptr<float>(), values})});
    }
    checkpoint.members.push_back(std::move(stored));
  }
  return checkpoint;
}

}  // namespace anomalyd::models
