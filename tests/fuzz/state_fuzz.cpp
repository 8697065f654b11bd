// Calibrations come with checkpoints from other hosts, snapshots from a disk that may lie. Whatever
// loads must be fit to judge rows with.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/pipeline/partition_pipeline.hpp"
#include "models/memory_bank.hpp"

namespace anomalyd {
namespace {

using pipeline::LearnedGroup;
using pipeline::PartitionPipeline;

ModelInfo model() {
  ModelInfo info;
  info.kind = "persistence";
  info.version = "test";
  info.members = {"persistence", "memory"};
  info.recalling = {1};
  info.code_widths = {1};
  info.channels = {{"load", "%"}, {"heat", "C"}};
  info.context = 4;
  info.classes = {"regime 1", "regime 2"};
  return info;
}

/// What a scorer does with a memory for each window.
void move_on(Memory& memory, std::size_t channels) {
  const std::vector<float> code(channels, 0.5F);
  for (Memory::Bank& bank : memory.banks) models::note(memory, bank, {channels, 1, code, code});
  models::advance(memory, 1, channels);
}

/// Rows of the given series behind whatever it has seen, with a gap and a hole.
void judge_rows(PartitionPipeline& pipeline, const std::string& series, EventTime begin) {
  const auto schema = std::make_shared<const Schema>(Schema{model().channels});
  SampleBlock block{pipeline.partition(), schema};
  for (int i = 0; i < 12; ++i) {
    const double row[] = {40.0 + i, i == 3 ? NAN : 20.0};
    block.append(series, begin + std::chrono::seconds{i < 8 ? i : i + 3}, i, row);
  }
  pipeline.ingest(block);
  pipeline.flush();
  for (const pipeline::ScoreRequest& request : pipeline.take_requests()) {
    Residuals residuals{2, request.batch.channels, {}};
    residuals.values.assign(2 * request.batch.windows.size() * request.batch.channels, 2.5F);
    for (const Batch::Window& window : request.batch.windows) {
      residuals.classes.push_back(static_cast<std::int16_t>(window.end_row % 2));
      move_on(*window.memory, request.batch.channels);
    }
    pipeline.judge(request, std::move(residuals));
  }
  (void)pipeline.take_alerts();
}

void judge_with(const std::shared_ptr<const LearnedGroup>& group) {
  PartitionPipeline pipeline{{"fuzz", 0}, {}};
  pipeline.install(group);
  for (const auto& [id, known] : group->series) {
    judge_rows(pipeline, id, EventTime{std::chrono::seconds{1'700'000'000}});
  }
}

void go_on_from(std::span<const std::byte> snapshot,
                const std::shared_ptr<const LearnedGroup>& group) {
  PartitionPipeline pipeline{{"fuzz", 0}, {}};
  if (group != nullptr) pipeline.install(group);
  StateReader in{snapshot};
  if (!pipeline.load(in)) return;
  judge_rows(pipeline, "m0", EventTime{std::chrono::seconds{1'700'000'900}});
  (void)pipeline.readiness();
  StateWriter out;
  pipeline.save(out);
}

}  // namespace
}  // namespace anomalyd

/// Input: the length of a calibration (4 bytes), the calibration, a snapshot.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anomalyd;
  StateReader in{std::as_bytes(std::span{data, size})};
  std::uint32_t length = 0;
  if (!in.get(length) || length > size - sizeof length) return 0;
  const auto bytes = std::as_bytes(std::span{data, size}).subspan(sizeof length);
  const auto group = LearnedGroup::from_calibration(model(), bytes.first(length));
  if (group) judge_with(*group);
  go_on_from(bytes.subspan(length), group ? *group : nullptr);
  return 0;
}
