#include "daemon/runtime/model_package.hpp"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "packages are little-endian");

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kMagic = "ANMDPACK";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kPrefixBytes = kMagic.size() + 2 * sizeof(std::uint32_t);
constexpr std::size_t kSumDigits = 64;
constexpr std::uint32_t kMaxHeaderBytes = 32U << 20U;

std::string prefix(std::uint32_t header_bytes) {
  std::string bytes{kMagic};
  for (const std::uint32_t number : {kFormat, header_bytes}) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return bytes;
}

std::uint32_t number_at(const std::string& bytes, std::size_t offset) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

/// Writes pieces to a file and sums them up.
class Writer {
 public:
  explicit Writer(const fs::path& path) : path_{path}, file_{path, std::ios::binary} {}
  void put(std::string_view bytes) {
    sum_.add(bytes);
    file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  [[nodiscard]] Status put_file(const fs::path& path, std::uintmax_t bytes) {
    return read_pieces(path, 0, bytes, [this](std::string_view piece) { put(piece); });
  }
  [[nodiscard]] Status finish() {
    file_ << sum_.hex();
    file_.close();
    if (file_) return {};
    return io_failure(path_, "cannot write");
  }

 private:
  const fs::path path_;
  std::ofstream file_;
  Sha256 sum_;
};

/// What a package says is in it, each part at its place in the file.
struct Contents {
  Manifest manifest;
  std::uintmax_t checkpoint_begin = 0;
  std::uintmax_t checkpoint_bytes = 0;
  std::uintmax_t rows_bytes = 0;  ///< 0 when no rows are kept.
};

Failure bad(const fs::path& file, const std::string& what) {
  return fail(ErrorKind::kIncompatible, file.string() + ": " + what);
}

Result<Contents> parse_header(const fs::path& file, std::string_view text, std::uintmax_t begin,
                              std::uintmax_t end) {
  // The manifest is read as deep as it may be; the rest of the header is flat.
  const Json header = Json::parse(
      text, [](int depth, Json::parse_event_t, Json&) { return depth < 20; },
      /*allow_exceptions=*/false);
  const auto length = [&](const char* name) -> std::optional<std::uintmax_t> {
    const auto it = header.is_object() ? header.find(name) : header.end();
    if (!header.is_object() || it == header.end() || !it->is_number_unsigned()) return std::nullopt;
    return it->get<std::uintmax_t>();
  };
  const auto checkpoint = length("checkpoint"), rows = length("rows");
  if (!checkpoint || !rows || !header.contains("manifest")) {
    return bad(file, "found a header without manifest, checkpoint and rows; expected all three");
  }
  // No sum is formed that is larger than the file, so none overflows.
  const std::uintmax_t held = end - begin;
  if (*checkpoint > held || *rows != held - *checkpoint) {
    return bad(file, "found parts of " + std::to_string(*checkpoint) + " and " +
                         std::to_string(*rows) + " bytes; expected " + std::to_string(held) +
                         " bytes in all");
  }
  auto manifest = parse_manifest(header["manifest"].dump());
  if (!manifest) return fail(std::move(manifest.error()), file.string() + ": manifest");
  return Contents{std::move(*manifest), begin, *checkpoint, *rows};
}

Result<Contents> open_package(const fs::path& file) {
  std::error_code error;
  const bool is_file = fs::is_regular_file(file, error);
  const std::uintmax_t size = is_file ? fs::file_size(file, error) : 0;
  if (!is_file || error) {
    return fail(ErrorKind::kInvalid,
                file.string() + ": " + (error ? error.message() : "not a file"));
  }
  if (size < kPrefixBytes + kSumDigits) {
    return bad(file, "found " + std::to_string(size) + " bytes; expected an exported version");
  }
  std::string start, sum;
  Sha256 hash;
  const auto add = [&](std::string_view piece) { hash.add(piece); };
  auto read = read_pieces(file, 0, kPrefixBytes, [&](auto piece) { start += piece; });
  if (read) read = read_pieces(file, size - kSumDigits, kSumDigits, [&](auto p) { sum += p; });
  if (!read) return Failure{std::move(read.error())};
  if (!start.starts_with(kMagic)) return bad(file, "found no exported version; expected one");
  if (read = read_pieces(file, 0, size - kSumDigits, add); !read) {
    return Failure{std::move(read.error())};
  }
  if (const std::string found = hash.hex(); found != sum) {
    return bad(file, "found a damaged file, sha256 " + found.substr(0, 12) + "...");
  }
  const std::uint32_t format = number_at(start, kMagic.size());
  if (format != kFormat) {
    return bad(file, "found package format " + std::to_string(format) + "; expected " +
                         std::to_string(kFormat));
  }
  const std::uint32_t header_bytes = number_at(start, kMagic.size() + sizeof format);
  const std::uintmax_t end = size - kSumDigits;
  if (header_bytes > kMaxHeaderBytes || header_bytes > end - kPrefixBytes) {
    return bad(file, "found a header of " + std::to_string(header_bytes) + " bytes");
  }
  std::string header;
  read = read_pieces(file, kPrefixBytes, header_bytes, [&](auto piece) { header += piece; });
  if (!read) return Failure{std::move(read.error())};
  return parse_header(file, header, kPrefixBytes + header_bytes, end);
}

Status extract(const fs::path& file, std::uintmax_t begin, std::uintmax_t bytes,
               const fs::path& to) {
  std::ofstream out{to, std::ios::binary};
  auto read = read_pieces(file, begin, bytes, [&](std::string_view piece) {
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  });
  if (!read) return read;
  out.close();
  if (!out) return io_failure(to, "cannot write");
  return {};
}

}  // namespace

Status export_version(const ModelRegistry& registry, const Manifest& manifest,
                      const fs::path& file) {
  if (auto verified = registry.verify(manifest.group, manifest.version); !verified) {
    return verified;
  }
  const fs::path rows = registry.rows_path(manifest.group, manifest.version);
  std::error_code error;
  const std::uintmax_t found_rows = fs::file_size(rows, error);
  const std::uintmax_t rows_bytes = error ? 0 : found_rows;
  const Json header = {{"manifest", Json::parse(to_json(manifest))},
                       {"checkpoint", manifest.bytes},
                       {"rows", rows_bytes}};
  const std::string text = header.dump();
  const fs::path draft = file.string() + ".draft";
  Writer out{draft};
  out.put(prefix(static_cast<std::uint32_t>(text.size())));
  out.put(text);
  auto written =
      out.put_file(registry.checkpoint_path(manifest.group, manifest.version), manifest.bytes);
  if (written && rows_bytes > 0) written = out.put_file(rows, rows_bytes);
  if (written) written = out.finish();
  if (written) written = move_durably(draft, file);
  if (!written) fs::remove(draft, error);
  return written;
}

Result<Manifest> import_version(ModelRegistry& registry, const fs::path& file, std::string_view by,
                                const CheckpointCheck& check) {
  auto contents = open_package(file);
  if (!contents) return Failure{std::move(contents.error())};
  auto draft = registry.begin();
  if (!draft) return Failure{std::move(draft.error())};
  auto extracted =
      extract(file, contents->checkpoint_begin, contents->checkpoint_bytes, (*draft)->checkpoint());
  if (extracted && contents->rows_bytes > 0) {
    extracted = extract(file, contents->checkpoint_begin + contents->checkpoint_bytes,
                        contents->rows_bytes, (*draft)->rows());
  }
  if (!extracted) return Failure{std::move(extracted.error())};
  auto sum = sha256_of_file((*draft)->checkpoint());
  if (!sum) return Failure{std::move(sum.error())};
  Manifest& manifest = contents->manifest;
  if (*sum != manifest.sha256) {
    return bad(file, "found a checkpoint with sha256 " + sum->substr(0, 12) +
                         "...; its manifest expects " + manifest.sha256.substr(0, 12) + "...");
  }
  if (auto checked = check((*draft)->checkpoint(), manifest); !checked) {
    return fail(std::move(checked.error()), file.string());
  }
  manifest.pinned = false;
  return registry.add(std::move(*draft), std::move(manifest), by, "imported");
}

}  // namespace anomalyd::runtime
