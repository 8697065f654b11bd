#include "models/checkpoint.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace anomalyd::models {
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");

using nlohmann::json;

constexpr std::string_view kMagic = "ANOMALYD";
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kHeaderBytes = kMagic.size() + 2 * sizeof(std::uint32_t);
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kMaxManifestBytes = 64U << 20U;
constexpr std::size_t kMaxChannels = 4096;
constexpr std::size_t kMaxMembers = 64;
constexpr std::size_t kMaxWeightsPerMember = 64;
constexpr std::size_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 31U;

using Digest = std::array<std::byte, kDigestBytes>;

class Sha256 {
 public:
  Sha256() : context_{EVP_MD_CTX_new()} { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes) {
    EVP_DigestUpdate(context_, bytes.data(), bytes.size());
  }
  [[nodiscard]] Digest finish() {
    Digest digest{};
    EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return digest;
  }

 private:
  EVP_MD_CTX* context_;
};

Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4U)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void append(std::vector<std::byte>& out, std::uint32_t value) {
  append(out, std::as_bytes(std::span{&value, 1}));
}
void append(std::vector<std::byte>& out, std::string_view text) {
  append(out, std::as_bytes(std::span{text}));
}
std::uint32_t u32_at(std::span<const std::byte> bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Failure bad(const std::string& what) { return fail(ErrorKind::kIncompatible, what); }

json members_json(const Checkpoint& checkpoint) {
  json members = json::array();
  for (const StoredMember& member : checkpoint.members) {
    json weights = json::array();
    for (const StoredWeight& weight : member.weights) {
      weights.push_back({{"name", weight.name}, {"shape", weight.sizes}});
    }
    members.push_back({{"name", member.spec.name},
                       {"kind", member.spec.kind},
                       {"options", member.spec.options},
                       {"weights", std::move(weights)}});
  }
  return members;
}

std::string manifest_of(const Checkpoint& checkpoint) {
  json channels = json::array();
  for (const Channel& channel : checkpoint.channels) {
    channels.push_back({{"name", channel.name}, {"unit", channel.unit}});
  }
  json provenance = json::parse(checkpoint.extras.provenance_json, nullptr, false);
  if (!provenance.is_object()) provenance = json::object();
  const json manifest{{"kind", checkpoint.kind},
                      {"choice", checkpoint.choice},
                      {"version", content_version(checkpoint)},
                      {"context", checkpoint.context},
                      {"channels", std::move(channels)},
                      {"slots", checkpoint.slots},
                      {"entities", checkpoint.entities},
                      {"classes", checkpoint.classes},
                      {"members", members_json(checkpoint)},
                      {"provenance", std::move(provenance)},
                      {"calibration_bytes", checkpoint.extras.calibration.size()},
                      {"libtorch", checkpoint.libtorch}};
  return manifest.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A count, not whatever else converts to one: a fraction, a negative number or 1e300.
std::uint64_t count(const json& value) {
  if (!value.is_number_unsigned()) {
    throw std::domain_error{"found " + value.dump() + "; expected a count"};
  }
  return value.get<std::uint64_t>();
}

// Reads a manifest that has passed the checksum but may still be hostile. Missing fields and wrong
// types come as exceptions of the JSON library and are turned into errors by `decode`.
class ManifestReader {
 public:
  explicit ManifestReader(std::span<const std::byte> payload) : payload_{payload} {}

  Result<Checkpoint> read(const json& manifest) {
    Checkpoint result;
    result.kind = manifest.at("kind").get<std::string>();
    result.choice = manifest.value("choice", std::string{});
    result.context = count(manifest.at("context"));
    result.slots = manifest.at("slots").get<std::vector<std::string>>();
    result.entities = manifest.value("entities", std::vector<std::string>{});
    result.classes = manifest.value("classes", std::vector<std::string>{});
    result.libtorch = manifest.at("libtorch").get<std::string>();
    result.extras.provenance_json = manifest.at("provenance").dump();
    for (const json& channel : manifest.at("channels")) {
      result.channels.push_back({channel.at("name"), channel.at("unit")});
    }
    if (result.channels.empty() || result.channels.size() > kMaxChannels) {
      return bad("manifest: found " + std::to_string(result.channels.size()) +
                 " channels; expected 1.." + std::to_string(kMaxChannels));
    }
    const json& members = manifest.at("members");
    if (members.empty() || members.size() > kMaxMembers) {
      return bad("manifest: found " + std::to_string(members.size()) + " members; expected 1.." +
                 std::to_string(kMaxMembers));
    }
    for (const json& entry : members) {
      auto member = read_member(entry);
      if (!member) return Failure{std::move(member.error())};
      result.members.push_back(std::move(*member));
    }
    if (const std::uint64_t left = count(manifest.at("calibration_bytes"));
        left != payload_.size()) {
      return bad("payload: found " + std::to_string(payload_.size()) +
                 " bytes after the weights; expected " + std::to_string(left) +
                 " bytes of calibration");
    }
    result.extras.calibration.assign(payload_.begin(), payload_.end());
    return result;
  }

 private:
  Result<StoredMember> read_member(const json& entry) {
    StoredMember member;
    member.spec.name = entry.at("name").get<std::string>();
    member.spec.kind = entry.at("kind").get<std::string>();
    for (const auto& [name, values] : entry.at("options").items()) {
      member.spec.options[name] = values.get<std::vector<double>>();
    }
    const json& weights = entry.at("weights");
    if (weights.size() > kMaxWeightsPerMember) {
      return bad("member '" + member.spec.name + "': found " + std::to_string(weights.size()) +
                 " weights; expected at most " + std::to_string(kMaxWeightsPerMember));
    }
    for (const json& weight : weights) {
      auto stored = read_weight(member.spec.name, weight);
      if (!stored) return Failure{std::move(stored.error())};
      member.weights.push_back(std::move(*stored));
    }
    return member;
  }

  Result<StoredWeight> read_weight(const std::string& member, const json& entry) {
    StoredWeight weight;
    weight.name = entry.at("name").get<std::string>();
    const json& shape = entry.at("shape");
    const std::string where = "weight '" + member + "/" + weight.name + "'";
    if (!shape.is_array() || shape.empty() || shape.size() > kMaxDimensions) {
      return bad(where + ": found " + std::to_string(shape.size()) + " dimensions; expected 1.." +
                 std::to_string(kMaxDimensions));
    }
    std::size_t values = 1;
    for (const json& entry_size : shape) {
      const std::uint64_t size = count(entry_size);
      if (size < 1 || size > kMaxSize) {
        return bad(where + ": found size " + std::to_string(size) + "; expected 1.." +
                   std::to_string(kMaxSize));
      }
      // No product is formed that is larger than the file, so none overflows.
      if (values > payload_.size() / sizeof(float) / size) {
        return bad(where + ": found " + std::to_string(payload_.size()) +
                   " bytes left in the file; expected enough for shape " + shape.dump());
      }
      values *= size;
      weight.sizes.push_back(static_cast<std::int64_t>(size));
    }
    weight.bytes = payload_.first(values * sizeof(float));
    payload_ = payload_.subspan(values * sizeof(float));
    return weight;
  }

  std::span<const std::byte> payload_;  // what has not been claimed yet
};

// The parts of a file whose checksum is right.
struct Parts {
  std::string_view manifest;
  std::span<const std::byte> payload;
};

Result<Parts> split(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes + kDigestBytes) {
    return bad("found " + std::to_string(bytes.size()) + " bytes; expected at least " +
               std::to_string(kHeaderBytes + kDigestBytes));
  }
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return bad("found no checkpoint; expected the file to begin with " + std::string{kMagic});
  }
  const std::span<const std::byte> content = bytes.first(bytes.size() - kDigestBytes);
  const Digest digest = sha256(content);
  const auto stored = bytes.last(kDigestBytes);
  if (!std::ranges::equal(digest, stored)) {
    return bad("found a damaged file, sha256 " + to_hex(digest).substr(0, 12) + "...; expected " +
               to_hex(stored).substr(0, 12) + "...");
  }
  const std::uint32_t version = u32_at(bytes, kMagic.size());
  if (version != kFormatVersion) {
    return bad("found checkpoint format " + std::to_string(version) + "; expected " +
               std::to_string(kFormatVersion));
  }
  const std::size_t length = u32_at(bytes, kMagic.size() + sizeof(std::uint32_t));
  if (length > kMaxManifestBytes || length > content.size() - kHeaderBytes) {
    return bad("found a manifest of " + std::to_string(length) + " bytes; expected at most " +
               std::to_string(std::min(kMaxManifestBytes, content.size() - kHeaderBytes)));
  }
  const auto* text = reinterpret_cast<const char*>(content.data()) + kHeaderBytes;
  return Parts{{text, length}, content.subspan(kHeaderBytes + length)};
}

// A manifest nests five deep. What is deeper is dropped: writing it out again would recurse.
bool shallow(int depth, json::parse_event_t /*event*/, json& /*parsed*/) { return depth < 16; }

}  // namespace

std::string content_version(const Checkpoint& checkpoint) {
  Sha256 hash;
  const std::string members = members_json(checkpoint).dump();
  hash.add(std::as_bytes(std::span{members}));
  for (const StoredMember& member : checkpoint.members) {
    for (const StoredWeight& weight : member.weights) hash.add(weight.bytes);
  }
  return to_hex(hash.finish()).substr(0, 12);
}

std::vector<std::byte> encode(const Checkpoint& checkpoint) {
  const std::string manifest = manifest_of(checkpoint);
  std::vector<std::byte> out;
  append(out, kMagic);
  append(out, kFormatVersion);
  append(out, static_cast<std::uint32_t>(manifest.size()));
  append(out, manifest);
  for (const StoredMember& member : checkpoint.members) {
    for (const StoredWeight& weight : member.weights) append(out, weight.bytes);
  }
  append(out, checkpoint.extras.calibration);
  return sealed(std::move(out));
}

std::vector<std::byte> sealed(std::vector<std::byte> bytes) {
  append(bytes, sha256(bytes));
  return bytes;
}

Result<Checkpoint> decode(std::span<const std::byte> bytes) {
  const auto parts = split(bytes);
  if (!parts) return Failure{parts.error()};
  const json manifest = json::parse(parts->manifest, shallow, /*allow_exceptions=*/false);
  if (!manifest.is_object()) return bad("manifest: found no JSON object; expected one");
  try {
    return ManifestReader{parts->payload}.read(manifest);
  } catch (const std::exception& error) {
    return bad(std::string{"manifest: "} + error.what());
  }
}

}  // namespace anomalyd::models
