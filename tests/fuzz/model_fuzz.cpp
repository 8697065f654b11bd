// What is in a checkpoint beyond its format: kinds, options, shapes, names. Whatever loads must
// score.

#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "models/checkpoint.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {
namespace {

constexpr std::size_t kMostCells = 1 << 20;

void score(Scorer& scorer) {
  const ModelInfo& info = scorer.info();
  const std::size_t channels = info.channels.size(), rows = info.context + 2;
  if (rows * channels > kMostCells) return;
  Batch batch{channels, info.context, {}, {}};
  for (std::size_t i = 0; i < rows * channels; ++i) {
    batch.rows.push_back(static_cast<float>(std::sin(static_cast<double>(i))));
  }
  const auto last = static_cast<std::uint32_t>(info.slots.size());
  auto memory = scorer.memorize(batch.rows, last, rows);
  if (!memory) __builtin_trap();
  Memory other = *memory;
  for (std::size_t end = info.context - 1; end < rows; ++end) {
    batch.windows.push_back({.end_row = static_cast<std::uint32_t>(end),
                             .slot = end % 2 == 0 ? 0 : last,
                             .memory = end % 2 == 0 ? &*memory : &other,
                             .time = std::int64_t{1} << 50,
                             .entity = static_cast<std::uint32_t>(end)});
  }
  const auto residuals = scorer.score(batch);
  if (!residuals) __builtin_trap();
  for (const std::int16_t of_window : residuals->classes) (void)info.class_name(of_window);
  for (std::size_t member = 0; member < info.members.size(); ++member) {
    (void)reconstruct(scorer, batch, member);
    if (const auto codes = encode(scorer, batch, member)) {
      (void)decode(scorer, *codes, last, member);
    }
  }
}

/// One file in memory that each input is written to.
const std::filesystem::path& input_file() {
  static const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("model_fuzz." + std::to_string(getpid()));
  static const struct Remover {
    ~Remover() { std::filesystem::remove(path); }
  } remover;
  return path;
}

}  // namespace
}  // namespace anomalyd::models

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anomalyd::models;
  const auto bytes = std::as_bytes(std::span{data, size});
  const std::vector<std::byte> whole = sealed({bytes.begin(), bytes.end()});
  if (!decode(whole)) return 0;
  std::ofstream{input_file(), std::ios::binary}.write(reinterpret_cast<const char*>(whole.data()),
                                                      static_cast<std::streamsize>(whole.size()));
  static const auto factory = TorchModelFactory::create({.device = "cpu", .threads = 1});
  if (const auto loaded = (*factory)->load(input_file())) score(*loaded->scorer);
  return 0;
}
