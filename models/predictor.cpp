// Ridge prediction of the newest row from earlier ones.
//
//   w = (A'A + lambda N I)^-1 A'Y,   A = [lagged rows, 1],   residual = y - A w
//
// From all channels ("var": one [lags C + 1, C] matrix), or each channel from its own past only
// ("ar": lags + 1 numbers per channel). Hoerl and Kennard, Ridge regression (1970).

#include <algorithm>

#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::int64_t kRowsPerStep = 4096;  // of A, in memory at once
// Missing targets are replaced by their own prediction and the fit repeated: each pass leaves
// about the missing share of the error of the one before.
constexpr int kPassesWithMissingCells = 4;

class Predictor final : public LinearMember {
 public:
  Predictor(std::vector<std::int64_t> lags, bool own, double ridge)
      : lags_{std::move(lags)}, own_{own}, ridge_{ridge} {}

  std::string_view kind() const override { return "predictor"; }
  MemberOptions options() const override {
    return {
        {"lags", {lags_.begin(), lags_.end()}}, {"own", {own_ ? 1.0 : 0.0}}, {"ridge", {ridge_}}};
  }
  std::vector<std::int64_t> lags() const override { return lags_; }

  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    const std::int64_t inputs = num_lags() * (own_ ? 1 : shape.channels);
    return {{"weight", {shape.slots, inputs, shape.channels}},
            {"bias", {shape.slots, 1, shape.channels}}};
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    const std::int64_t max_lag = lags_.front();
    lags_ = usable_lags(reach(max_lag, rows.longest(0)));
    std::vector<at::Tensor> weights;
    std::vector<at::Tensor> biases;
    for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
      const auto solution = fit_slot(rows, slot, reach(max_lag, rows.longest(slot)), run);
      if (!solution) return Failure{solution.error()};
      const std::int64_t inputs = solution->size(0) - 1;
      weights.push_back(solution->narrow(0, 0, inputs));
      biases.push_back(solution->narrow(0, inputs, 1));
    }
    return Fitted{{at::stack(weights).to(at::kFloat), at::stack(biases).to(at::kFloat)}};
  }

  double operations() const override {
    return own_ ? 2 * static_cast<double>(num_lags() * shape().channels)
                : LinearMember::operations();
  }
  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override {
    if (!own_) return LinearMember::residuals(inputs, newest, choice);
    const at::Tensor weight = choice.of(weights()[0]).unsqueeze(-3);  // [.., 1, lags, C]
    const at::Tensor terms = inputs.unflatten(-1, {num_lags(), newest.size(-1)}) * weight;
    return (newest - choice.of(weights()[1])).sub_(terms.sum(-2));
  }

 protected:
  std::vector<Layer> newest_layers() const override {
    return own_ ? std::vector<Layer>{} : std::vector<Layer>{{weights()[0], weights()[1]}};
  }

 private:
  std::int64_t num_lags() const { return static_cast<std::int64_t>(lags_.size()); }

  // The largest lag that leaves three quarters of the rows to learn from.
  static std::int64_t reach(std::int64_t max_lag, std::int64_t rows) {
    return std::max<std::int64_t>(1, std::min(max_lag, rows / 4));
  }
  std::vector<std::int64_t> usable_lags(std::int64_t reach) const {
    std::vector<std::int64_t> usable;
    std::ranges::copy_if(lags_, std::back_inserter(usable),
                         [reach](std::int64_t lag) { return lag <= reach; });
    return usable.empty() ? std::vector<std::int64_t>{1} : usable;
  }

  // [lags x C + 1, C], or [lags + 1, C] of own lags: the last row is the constant.
  Result<at::Tensor> fit_slot(const TrainingRows& rows, std::int64_t slot, std::int64_t reach,
                              const FitRun& run) const {
    const std::vector<std::int64_t> lags = usable_lags(reach);
    const at::Tensor ends = rows.window_ends(slot, reach + 1).to(rows.values.device());
    const int passes = rows.observed.defined() ? kPassesWithMissingCells : 1;
    at::Tensor solution;  // [1, K, C] or [C, K, 1]
    for (int pass = 0; pass < passes; ++pass) {
      auto next = solve(rows, ends, lags, solution, run);
      if (!next) return next;
      solution = std::move(*next);
    }
    return with_dropped_lags(own_ ? solution.squeeze(2).t() : solution.squeeze(0), lags,
                             rows.channels());
  }

  // One ridge solution. Where a target is missing, `previous` stands in for it.
  Result<at::Tensor> solve(const TrainingRows& rows, const at::Tensor& ends,
                           const std::vector<std::int64_t>& lags, const at::Tensor& previous,
                           const FitRun& run) const {
    at::Tensor gram;
    at::Tensor cross;
    for (const at::Tensor& part : ends.split(kRowsPerStep)) {
      if (run.stop.stop_requested()) return fail(ErrorKind::kCancelled, "training was stopped");
      const at::Tensor a = design(rows, part, lags);
      at::Tensor y = targets(rows.values.index_select(0, part));
      if (previous.defined()) {
        const at::Tensor there = targets(rows.observed.index_select(0, part));
        y = y * there + a.bmm(previous) * (1 - there);
      }
      const at::Tensor transposed = a.transpose(1, 2);
      gram = gram.defined() ? gram.add_(transposed.bmm(a)) : transposed.bmm(a);
      cross = cross.defined() ? cross.add_(transposed.bmm(y)) : transposed.bmm(y);
    }
    gram.diagonal(0, 1, 2).add_(ridge_ * static_cast<double>(ends.size(0)));
    return at::linalg_solve(gram, cross);
  }

  // A as [1, n, K] or, for own lags, one per channel: [C, n, K].
  at::Tensor design(const TrainingRows& rows, const at::Tensor& ends,
                    const std::vector<std::int64_t>& lags) const {
    at::Tensor x = gather(rows.values, ends, lags).to(at::kDouble);
    x = own_ ? x.view({ends.size(0), -1, rows.channels()}).permute({2, 0, 1}) : x.unsqueeze(0);
    return at::cat({x, x.new_ones({x.size(0), x.size(1), 1})}, 2);
  }
  at::Tensor targets(const at::Tensor& newest) const {
    const at::Tensor y = newest.to(at::kDouble);
    return own_ ? y.t().unsqueeze(2) : y.unsqueeze(0);
  }

  // Puts the rows of `solution` where all of lags_ have theirs; a dropped lag has weight zero.
  at::Tensor with_dropped_lags(const at::Tensor& solution, const std::vector<std::int64_t>& lags,
                               std::int64_t channels) const {
    if (lags == lags_) return solution;
    const std::int64_t per_lag = own_ ? 1 : channels;
    const auto kept = static_cast<std::int64_t>(lags.size());
    const at::Tensor dropped =
        solution.new_zeros({(num_lags() - kept) * per_lag, solution.size(1)});
    return at::cat({dropped, solution});  // lags are oldest first and the oldest go
  }

  std::vector<std::int64_t> lags_;  // oldest first
  bool own_;
  double ridge_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_predictor(const MemberOptions& options) {
  auto lags = whole_numbers(options, "lags", {1, 1024}, 256);
  if (!lags) return Failure{std::move(lags.error())};
  if (std::ranges::adjacent_find(*lags, std::ranges::less_equal{}) != lags->end()) {
    return fail(ErrorKind::kInvalid, "lags: found them out of order; expected the oldest first");
  }
  const auto own = whole_number(options, "own", {0, 1});
  if (!own) return Failure{own.error()};
  const auto ridge = number(options, "ridge", {1e-9, 1e3});
  if (!ridge) return Failure{ridge.error()};
  return std::make_unique<Predictor>(std::move(*lags), *own == 1, *ridge);
}

}  // namespace anomalyd::models
