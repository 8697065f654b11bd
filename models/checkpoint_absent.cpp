// In place of checkpoint.cpp where OpenSSL or nlohmann-json is missing: models train and score, but
// cannot be kept. See CMakeLists.txt.

#include "models/checkpoint.hpp"

namespace anomalyd::models {
namespace {

Failure absent() {
  return fail(ErrorKind::kIncompatible,
              "checkpoint: found a build without OpenSSL and nlohmann-json; expected both");
}

}  // namespace

std::string content_version(const Checkpoint& /*checkpoint*/) { return "000000000000"; }
std::vector<std::byte> encode(const Checkpoint& /*checkpoint*/) { return {}; }
Result<Checkpoint> decode(std::span<const std::byte> /*bytes*/) { return absent(); }
Status write_atomically(const std::filesystem::path& /*path*/, std::span<const std::byte> /*b*/) {
  return absent();
}
Result<std::vector<std::byte>> read_file(const std::filesystem::path& /*path*/) { return absent(); }

}  // namespace anomalyd::models
