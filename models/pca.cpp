// The linear autoencoder in closed form: principal components of whole windows.
//
//   expected = mu + V V'(x - mu),   V the leading eigenvectors of the covariance of windows
//
// Pearson, On lines and planes of closest fit (1901); Baldi and Hornik (1989) show that it is what
// a linear autoencoder learns.

#include <algorithm>

#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::int64_t kMaxWindows = 12000;
// Eigenvectors of a larger matrix take minutes. Wider windows are fitted on this many of them
// through the Gram matrix, which is no larger.
constexpr std::int64_t kMaxEigenproblem = 2048;
constexpr double kMinObservedShare = 0.5;  // of a window's cells, to learn from it

struct Components {
  at::Tensor mean;   // [D] double
  at::Tensor basis;  // [D, q] double
};

// Windows in rows, centred -> eigenvalues (largest first) and orthonormal directions.
std::pair<at::Tensor, at::Tensor> principal_directions(const at::Tensor& x) {
  const double count = static_cast<double>(x.size(0));
  if (x.size(0) >= x.size(1)) {
    auto [values, vectors] = at::linalg_eigh(x.t().mm(x) / count);
    return {values.flip(0).clamp_min(0), vectors.flip(1)};
  }
  auto [values, vectors] = at::linalg_eigh(x.mm(x.t()) / count);
  const at::Tensor directions = x.t().mm(vectors.flip(1));
  return {values.flip(0).clamp_min(0), directions / directions.norm(2, 0, true).clamp_min(1e-9)};
}

// How many components reach `share` of the variance; one when nothing varies.
std::int64_t rank_for(const at::Tensor& eigenvalues, double share) {
  const double total = eigenvalues.sum().item<double>();
  if (total <= 1e-12) return 1;
  const std::int64_t below = (eigenvalues.cumsum(0) / total < share).sum().item<std::int64_t>();
  return std::clamp<std::int64_t>(below + 1, 1, std::max<std::int64_t>(eigenvalues.size(0) - 1, 1));
}

class Pca final : public LinearMember {
 public:
  Pca(std::int64_t window, double variance, std::int64_t rank)
      : window_{window}, variance_{variance}, rank_{rank} {}

  std::string_view kind() const override { return "pca"; }
  MemberOptions options() const override {
    return {{"window", {static_cast<double>(window_)}},
            {"variance", {variance_}},
            {"rank", {static_cast<double>(rank_)}}};
  }
  std::vector<std::int64_t> lags() const override { return window_lags(window_); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    const std::int64_t inputs = window_ * shape.channels;
    return {{"mean", {shape.slots, 1, inputs}}, {"basis", {shape.slots, inputs, rank_}}};
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    window_ = fit_window(window_, rows.longest(0));
    std::vector<Components> slots;
    for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
      if (run.stop.stop_requested()) return fail(ErrorKind::kCancelled, "training was stopped");
      slots.push_back(fit_slot(rows, slot));
      rank_ = std::max(rank_, slots.back().basis.size(1));
    }
    std::vector<at::Tensor> means;
    std::vector<at::Tensor> bases;
    for (const Components& slot : slots) {  // fewer components than others: directions of length 0
      means.push_back(slot.mean.unsqueeze(0));
      bases.push_back(at::constant_pad_nd(slot.basis, {0, rank_ - slot.basis.size(1)}));
    }
    return Fitted{{at::stack(means).to(at::kFloat), at::stack(bases).to(at::kFloat)}};
  }

 protected:
  std::vector<Layer> newest_layers() const override {
    const std::int64_t inputs = basis().size(1);
    const std::int64_t channels = inputs / window_;
    const at::Tensor newest_mean = mean().narrow(2, inputs - channels, channels);
    const at::Tensor decode = basis().narrow(1, inputs - channels, channels).transpose(1, 2);
    if (channels > rank_) return {encoder(), {decode.contiguous(), newest_mean.contiguous()}};
    const at::Tensor both = basis().bmm(decode);  // one product costs less than two
    return {{both, newest_mean - mean().bmm(both)}};
  }
  std::vector<Layer> window_layers() const override {
    return {encoder(), {basis().transpose(1, 2).contiguous(), mean()}};
  }

 private:
  const at::Tensor& mean() const { return weights()[0]; }
  const at::Tensor& basis() const { return weights()[1]; }
  Layer encoder() const { return {basis(), -mean().bmm(basis())}; }

  Components fit_slot(const TrainingRows& rows, std::int64_t slot) const {
    const at::Tensor all = rows.window_ends(slot, window_).to(rows.values.device());
    const std::int64_t inputs = window_ * rows.channels();
    const at::Tensor ends = thin_out(observed_enough(rows, all),
                                     inputs > kMaxEigenproblem ? kMaxEigenproblem : kMaxWindows);
    at::Tensor x = gather(rows.values, ends, lags());
    const at::Tensor mean = x.mean(0);
    x = (x - mean).to(at::kDouble);
    const auto [eigenvalues, directions] = principal_directions(x);
    const std::int64_t rank = rank_for(eigenvalues, variance_);
    return {mean.to(at::kDouble), directions.narrow(1, 0, rank)};
  }

  at::Tensor observed_enough(const TrainingRows& rows, const at::Tensor& ends) const {
    if (!rows.observed.defined()) return ends;
    const at::Tensor rows_seen = rows.observed.mean(1, /*keepdim=*/true);
    const at::Tensor seen = gather(rows_seen, ends, lags()).mean(1);
    const at::Tensor enough = ends.masked_select(seen >= kMinObservedShare);
    return enough.size(0) > 0 ? enough : ends;
  }

  std::int64_t window_;
  double variance_;
  std::int64_t rank_;  // of the slot with most components; 0 before fit
};

}  // namespace

Result<std::unique_ptr<Member>> make_pca(const MemberOptions& options) {
  const auto window = whole_number(options, "window", {4, 4096});
  if (!window) return Failure{window.error()};
  const auto variance = number(options, "variance", {0.01, 0.9999});
  if (!variance) return Failure{variance.error()};
  const auto rank = whole_number(options, "rank", {0, 1 << 20});
  if (!rank) return Failure{rank.error()};
  return std::make_unique<Pca>(*window, *variance, *rank);
}

}  // namespace anomalyd::models
