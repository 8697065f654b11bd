#include "tools/training_bar.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tools/interrupt.hpp"

namespace anomalyd::tools {

ProgressFn TrainingBar::callback() {
  return [this](const TrainingProgress& now) {
    if (interrupted()) stop_.request_stop();
    std::string note{now.stage};
    if (!std::isnan(now.loss)) note += fmt::format(", loss {:.4g}", now.loss);
    progress_.update(static_cast<std::size_t>(now.share * kSteps), note);
  };
}

void TrainingBar::finish() {
  progress_.update(kSteps);
  progress_.finish();
}

}  // namespace anomalyd::tools
