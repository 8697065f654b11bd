// Checkpoints come from other hosts. A right checksum proves nothing about who wrote it, so each
// input is read as it is and once more with the checksum it should have.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace models = anomalyd::models;
  const std::span<const std::byte> bytes = std::as_bytes(std::span{data, size});
  (void)models::decode(bytes);

  const std::vector<std::byte> whole = models::sealed({bytes.begin(), bytes.end()});
  if (const auto checkpoint = models::decode(whole)) {
    (void)models::content_version(*checkpoint);
    if (!models::decode(models::encode(*checkpoint))) __builtin_trap();  // what we write, we read
  }
  return 0;
}
