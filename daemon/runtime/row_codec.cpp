#include "daemon/runtime/row_codec.hpp"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::runtime {
namespace {

using pipeline::History;
using pipeline::RowMark;

constexpr std::uint64_t kMagic = 0x53574f52444d4e41;  // "ANMDROWS"
constexpr std::uint32_t kFormat = 1;
constexpr std::uint32_t kBlockMagic = 0x4b434c42;  // "BLCK"
constexpr std::size_t kMaxHeaderBytes = 64 << 20;
constexpr std::size_t kMaxContentBytes = 64 << 20;
constexpr std::size_t kMaxNameBytes = 64 << 20;  // of all chunks of a block
constexpr std::size_t kUsualContentBytes = 4 << 20;
constexpr int kCompression = 3;
constexpr std::size_t kHeadBytes = 6 * sizeof(std::uint32_t) + 4 * sizeof(std::uint64_t);
constexpr int kMaxPlaces = 6;
constexpr std::array<double, kMaxPlaces + 1> kPowers{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
constexpr double kLargestWhole = 1LL << 51;
constexpr std::uint8_t kBits = 0xff;  // the mode of values that are no decimals

std::uint64_t sum_of(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

constexpr std::uint64_t zigzag(std::uint64_t difference) {
  return (difference << 1) ^ (difference >> 63 != 0 ? ~std::uint64_t{0} : 0);
}
constexpr std::uint64_t unzigzag(std::uint64_t code) {
  return (code >> 1) ^ ((code & 1) != 0 ? ~std::uint64_t{0} : 0);
}

/// Grows; differences are taken modulo 2^64, so that no input overflows.
class Bytes {
 public:
  void put_byte(std::uint8_t byte) { bytes_.push_back(static_cast<std::byte>(byte)); }
  void put_varint(std::uint64_t value) {
    std::array<std::byte, 10> code{};
    std::size_t n = 0;
    while (value >= 0x80) {
      code[n++] = static_cast<std::byte>(value | 0x80);
      value >>= 7;
    }
    code[n++] = static_cast<std::byte>(value);
    put({code.data(), n});
  }
  void put(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::vector<std::byte>& all() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] bool byte(std::uint8_t& value) {
    if (bytes_.empty()) return ok_ = false;
    value = static_cast<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return ok_;
  }
  [[nodiscard]] bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      std::uint8_t part = 0;
      if (!byte(part)) return false;
      value |= std::uint64_t{part & 0x7fU} << shift;
      if (part < 0x80) return true;
    }
    return ok_ = false;
  }
  [[nodiscard]] bool take(std::size_t n, std::span<const std::byte>& part) {
    if (!ok_ || n > bytes_.size()) return ok_ = false;
    part = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return true;
  }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

bool is_plain_nan(double value) {
  return std::bit_cast<std::uint64_t>(value) ==
         std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
}

/// The whole number that is `value` at so many places; false where it would not come back exactly.
bool to_whole(double value, int places, std::int64_t& whole) {
  const double power = kPowers[static_cast<std::size_t>(places)];
  const double scaled = value * power;
  if (!(std::abs(scaled) < kLargestWhole)) return false;
  whole = static_cast<std::int64_t>(std::nearbyint(scaled));
  return std::bit_cast<std::uint64_t>(static_cast<double>(whole) / power) ==
         std::bit_cast<std::uint64_t>(value);
}

/// One column of a chunk.
class Column {
 public:
  Column(const History& history, std::size_t channel)
      : values_{history.rows.data() + channel}, width_{history.width}, size_{history.size()} {}
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] double operator[](std::size_t i) const { return values_[i * width_]; }

 private:
  const double* values_;
  std::size_t width_;
  std::size_t size_;
};

/// The fewest places that give every value back, or -1; fills `wholes`, in which a NaN is 0.
int decimals_of(const Column& column, std::vector<std::int64_t>& wholes) {
  wholes.assign(column.size(), 0);
  int places = 0;
  for (std::size_t i = 0; i < column.size(); ++i) {
    if (is_plain_nan(column[i])) continue;
    while (!to_whole(column[i], places, wholes[i])) {
      if (++places > kMaxPlaces) return -1;
    }
  }
  for (std::size_t i = 0; i < column.size(); ++i) {  // at last with the same places
    if (!is_plain_nan(column[i]) && !to_whole(column[i], places, wholes[i])) return -1;
  }
  return places;
}

void put_values(std::span<const RowChunk> chunks, std::size_t channel, Bytes& out) {
  std::vector<std::int64_t> wholes;
  std::vector<std::uint64_t> differing;  // bits of values that are no decimals
  std::int64_t before = 0;
  int places_before = 0;
  Bytes modes, numbers;
  for (const RowChunk& chunk : chunks) {
    const Column column{chunk.history, channel};
    const int places = decimals_of(column, wholes);
    modes.put_byte(places < 0 ? kBits : static_cast<std::uint8_t>(places));
    if (places < 0) {
      std::uint64_t last = 0;
      for (std::size_t i = 0; i < column.size(); ++i) {
        const auto bits = std::bit_cast<std::uint64_t>(column[i]);
        differing.push_back(bits ^ last);
        last = bits;
      }
      continue;
    }
    if (places != places_before) before = 0;
    places_before = places;
    for (std::size_t i = 0; i < column.size(); ++i) {
      if (is_plain_nan(column[i])) {
        numbers.put_byte(0);
        continue;
      }
      numbers.put_varint(1 + zigzag(static_cast<std::uint64_t>(wholes[i] - before)));
      before = wholes[i];
    }
  }
  out.put(modes.all());
  out.put(numbers.all());
  const std::size_t n = differing.size(), begin = out.all().size();
  out.all().resize(begin + 8 * n);
  for (std::size_t plane = 0; plane < 8; ++plane) {
    std::byte* bytes = out.all().data() + begin + plane * n;
    for (std::size_t i = 0; i < n; ++i) {
      bytes[i] = static_cast<std::byte>(differing[i] >> (8 * (7 - plane)));
    }
  }
}

bool get_values(Cursor& in, std::size_t channel, std::vector<RowChunk>& chunks) {
  std::span<const std::byte> modes;
  if (!in.take(chunks.size(), modes)) return false;
  std::uint64_t before = 0;
  std::uint8_t places_before = 0;
  std::size_t num_bits = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    History& history = chunks[c].history;
    const auto places = static_cast<std::uint8_t>(modes[c]);
    if (places == kBits) {
      num_bits += history.size();
      continue;
    }
    if (places > kMaxPlaces) return false;
    if (places != places_before) before = 0;
    places_before = places;
    for (std::size_t i = 0; i < history.size(); ++i) {
      std::uint64_t code = 0;
      if (!in.varint(code)) return false;
      double value = std::numeric_limits<double>::quiet_NaN();
      if (code > 0) {
        before += unzigzag(code - 1);
        value = static_cast<double>(static_cast<std::int64_t>(before)) / kPowers[places];
      }
      history.rows[i * history.width + channel] = value;
    }
  }
  std::array<std::span<const std::byte>, 8> planes;
  for (auto& plane : planes) {
    if (!in.take(num_bits, plane)) return false;
  }
  std::size_t at = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    if (static_cast<std::uint8_t>(modes[c]) != kBits) continue;
    History& history = chunks[c].history;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < history.size(); ++i, ++at) {
      std::uint64_t differing = 0;
      for (const auto& plane : planes) {
        differing = differing << 8 | static_cast<std::uint64_t>(plane[at]);
      }
      bits ^= differing;
      history.rows[i * history.width + channel] = std::bit_cast<double>(bits);
    }
  }
  return true;
}

// What a chunk begins with: its number of rows, shifted, and these.
constexpr std::uint64_t kSameSeries = 1;  // as the chunk before: no name
constexpr std::uint64_t kContinues = 2;
constexpr int kFlagBits = 2;

std::vector<std::byte> content_of(const RowsHeader& header, std::span<const RowChunk> chunks) {
  Bytes out;
  const std::string* name = nullptr;
  for (const RowChunk& chunk : chunks) {
    const History& history = chunk.history;
    const bool same = name != nullptr && *name == history.series;
    out.put_varint(history.size() << kFlagBits | (chunk.continues ? kContinues : 0) |
                   (same ? kSameSeries : 0));
    name = &history.series;
    if (same) continue;
    out.put_varint(name->size());
    out.put(std::as_bytes(std::span{*name}));
  }
  const auto put_differences = [&](const std::vector<std::int64_t> History::*column) {
    std::uint64_t first = 0;  // of the chunk before: those of a batch begin at about one time
    for (const RowChunk& chunk : chunks) {
      std::uint64_t before = first, step = 0;
      const auto& values = chunk.history.*column;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto now = static_cast<std::uint64_t>(values[i]);
        out.put_varint(zigzag(now - before - step));
        if (i == 0) {
          first = now;
        } else {
          step = now - before;
        }
        before = now;
      }
    }
  };
  put_differences(&History::times);
  put_differences(&History::offsets);
  for (const RowChunk& chunk : chunks) {
    for (const std::uint32_t gap : chunk.history.gaps) {
      const bool restart = gap > pipeline::Windower::kLongestGap;
      out.put_varint(restart ? 1 : gap == 0 ? 0 : std::uint64_t{gap} + 1);
    }
  }
  for (const RowChunk& chunk : chunks) out.put(std::as_bytes(std::span{chunk.marks}));
  if (header.with_windowers) {
    for (const RowChunk& chunk : chunks) {
      StateWriter writer;
      chunk.history.windower.save(writer);
      out.put_varint(writer.bytes().size());
      out.put(writer.bytes());
    }
  }
  for (std::size_t c = 0; c < header.channels.size(); ++c) put_values(chunks, c, out);
  return std::move(out.all());
}

/// Sizes and names of the chunks. Believes in no more rows than there are bytes.
bool get_directory(Cursor& in, const BlockHead& head, std::size_t width, RowsDecoder::Detail detail,
                   std::vector<RowChunk>& chunks) {
  if (head.rows > kMaxBlockRows || head.rows > in.left() || head.chunks > head.rows) return false;
  if (detail == RowsDecoder::Detail::kAll && head.rows > 0 && width > in.left() / head.rows) {
    return false;
  }
  std::size_t name_bytes = 0;
  chunks.resize(head.chunks);
  std::size_t rows = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    History& history = chunks[c].history;
    std::uint64_t code = 0, length = 0;
    if (!in.varint(code)) return false;
    const std::uint64_t size = code >> kFlagBits;
    if (size == 0 || size > head.rows - rows) return false;
    rows += size;
    chunks[c].continues = (code & kContinues) != 0;
    if ((code & kSameSeries) != 0) {
      if (c == 0) return false;
      history.series = chunks[c - 1].history.series;
    } else {
      std::span<const std::byte> name;
      if (!in.varint(length) || !in.take(length, name)) return false;
      history.series.assign(reinterpret_cast<const char*>(name.data()), name.size());
    }
    name_bytes += history.series.size();
    if (name_bytes > kMaxNameBytes) return false;
    history.width = width;
    history.times.resize(size);
    history.offsets.resize(size);
    history.gaps.resize(size);
    chunks[c].marks.resize(size);
    if (detail == RowsDecoder::Detail::kAll) history.rows.resize(size * width);
  }
  return rows == head.rows;
}

bool get_differences(Cursor& in, std::vector<RowChunk>& chunks,
                     std::vector<std::int64_t> History::*column) {
  std::uint64_t first = 0;
  for (RowChunk& chunk : chunks) {
    std::uint64_t before = first, step = 0;
    auto& values = chunk.history.*column;
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint64_t code = 0;
      if (!in.varint(code)) return false;
      const std::uint64_t now = before + step + unzigzag(code);
      if (i == 0) {
        first = now;
      } else {
        step = now - before;
      }
      before = now;
      values[i] = static_cast<std::int64_t>(now);
    }
  }
  return true;
}

bool get_gaps_and_marks(Cursor& in, std::vector<RowChunk>& chunks) {
  for (RowChunk& chunk : chunks) {
    for (std::uint32_t& gap : chunk.history.gaps) {
      std::uint64_t code = 0;
      if (!in.varint(code)) return false;
      if (code > pipeline::Windower::kLongestGap + std::uint64_t{1}) return false;
      gap = code == 0 ? 0 : code == 1 ? History::kRestart : static_cast<std::uint32_t>(code - 1);
    }
  }
  for (RowChunk& chunk : chunks) {
    for (RowMark& mark : chunk.marks) {
      std::uint8_t code = 0;
      if (!in.byte(code) || code > static_cast<std::uint8_t>(RowMark::kIncident)) return false;
      mark = static_cast<RowMark>(code);
    }
  }
  return true;
}

bool get_windowers(Cursor& in, std::vector<RowChunk>& chunks) {
  for (RowChunk& chunk : chunks) {
    std::uint64_t size = 0;
    std::span<const std::byte> bytes;
    if (!in.varint(size) || !in.take(size, bytes)) return false;
    StateReader reader{bytes};
    if (!chunk.history.windower.load(reader)) return false;
  }
  return true;
}

bool is_all_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

RowChunk slice(const History& history, std::span<const RowMark> marks, std::size_t begin,
               std::size_t end) {
  const auto part = [](const auto& column, std::size_t first, std::size_t last) {
    return std::vector(column.begin() + static_cast<std::ptrdiff_t>(first),
                       column.begin() + static_cast<std::ptrdiff_t>(last));
  };
  RowChunk chunk;
  chunk.history.series = history.series;
  chunk.history.width = history.width;
  chunk.history.times = part(history.times, begin, end);
  chunk.history.offsets = part(history.offsets, begin, end);
  chunk.history.gaps = part(history.gaps, begin, end);
  chunk.history.rows = part(history.rows, begin * history.width, end * history.width);
  chunk.marks = part(marks, begin, end);
  return chunk;
}

std::size_t rows_per_block(std::size_t width) {
  constexpr std::size_t kBesideValues = 32;  // generously
  const std::size_t rows = kUsualContentBytes / (kBesideValues + sizeof(double) * width);
  return std::clamp<std::size_t>(rows, 1, kMaxBlockRows);
}

std::vector<std::byte> encode_header(const RowsHeader& header) {
  StateWriter body;
  body.put(static_cast<std::uint64_t>(header.channels.size()));
  for (const Channel& channel : header.channels) {
    body.put_text(channel.name);
    body.put_text(channel.unit);
  }
  body.put(static_cast<std::uint8_t>(header.with_windowers));
  body.put(header.thinned.beyond);
  body.put(header.thinned.at);
  body.put(static_cast<std::uint8_t>(header.sealed.has_value()));
  body.put(header.sealed.value_or(RowsHeader::Span{}));
  StateWriter out;
  out.put(kMagic);
  out.put(kFormat);
  out.put(static_cast<std::uint32_t>(body.bytes().size()));
  for (const std::byte byte : body.bytes()) out.put(byte);
  out.put(sum_of(out.bytes()));
  return std::move(out).take();
}

Result<std::vector<std::byte>> encode_block(const RowsHeader& header,
                                            std::span<const RowChunk> chunks) {
  const std::vector<std::byte> content = content_of(header, chunks);
  if (content.size() > kMaxContentBytes) {
    return fail(ErrorKind::kExhausted, "a block of rows takes " + std::to_string(content.size()) +
                                           " bytes; expected at most " +
                                           std::to_string(kMaxContentBytes));
  }
  std::vector<std::byte> block(kHeadBytes + ZSTD_compressBound(content.size()));
  const std::size_t stored = ZSTD_compress(block.data() + kHeadBytes, block.size() - kHeadBytes,
                                           content.data(), content.size(), kCompression);
  if (ZSTD_isError(stored) != 0) {
    return fail(ErrorKind::kExhausted,
                std::string{"compressing rows: "} + ZSTD_getErrorName(stored));
  }
  block.resize(kHeadBytes + stored);

  BlockHead head{static_cast<std::uint32_t>(stored),
                 static_cast<std::uint32_t>(content.size()),
                 0,
                 static_cast<std::uint32_t>(chunks.size()),
                 std::numeric_limits<std::int64_t>::max(),
                 std::numeric_limits<std::int64_t>::min()};
  for (const RowChunk& chunk : chunks) {
    head.rows += static_cast<std::uint32_t>(chunk.history.size());
    for (const std::int64_t time : chunk.history.times) {
      head.first_time = std::min(head.first_time, time);
      head.last_time = std::max(head.last_time, time);
    }
  }
  StateWriter out;
  out.put(kBlockMagic);
  out.put(head.stored_bytes);
  out.put(head.content_bytes);
  out.put(head.rows);
  out.put(head.chunks);
  out.put(std::uint32_t{0});
  out.put(head.first_time);
  out.put(head.last_time);
  out.put(sum_of(std::span{block}.subspan(kHeadBytes)));
  out.put(sum_of(out.bytes()));
  std::memcpy(block.data(), out.bytes().data(), kHeadBytes);
  return block;
}

Result<RowsDecoder> RowsDecoder::open(std::span<const std::byte> bytes) {
  RowsDecoder decoder{bytes};
  const auto refuse = [](std::string why) {
    return fail(ErrorKind::kIncompatible, std::move(why));
  };
  StateReader in{bytes};
  std::uint64_t magic = 0, sum = 0, count = 0;
  std::uint32_t format = 0, size = 0;
  if (!in.get(magic) || magic != kMagic) return refuse("not a file of rows");
  if (!in.get(format) || format != kFormat) {
    return refuse("found format version " + std::to_string(format) + "; expected " +
                  std::to_string(kFormat));
  }
  constexpr std::size_t kFixed = sizeof magic + sizeof format + sizeof size;
  if (!in.get(size) || size > kMaxHeaderBytes || bytes.size() < kFixed + size + sizeof sum) {
    return refuse("the file ends inside its header");
  }
  std::memcpy(&sum, bytes.data() + kFixed + size, sizeof sum);
  if (sum_of(bytes.first(kFixed + size)) != sum) {
    return refuse("the checksum of the header does not match");
  }
  StateReader body{bytes.subspan(kFixed, size)};
  RowsHeader& header = decoder.header_;
  bool ok = body.get(count) && count > 0 && count <= size;
  for (std::uint64_t c = 0; ok && c < count; ++c) {
    Channel& channel = header.channels.emplace_back();
    ok = body.get_text(channel.name) && body.get_text(channel.unit);
  }
  bool sealed = false;
  RowsHeader::Span span;
  ok = ok && body.get(header.with_windowers) && body.get(header.thinned.beyond) &&
       body.get(header.thinned.at) && body.get(sealed) && body.get(span) && body.at_end() &&
       header.thinned.beyond > 0;
  if (sealed) header.sealed = span;
  if (!ok) return refuse("the header cannot be read");
  decoder.position_ = decoder.next_ = kFixed + size + sizeof sum;
  return decoder;
}

bool RowsDecoder::stop(End end, std::string complaint) {
  end_ = end;
  complaint_ = std::move(complaint);
  next_ = bytes_.size() + 1;  // for good
  return false;
}

bool RowsDecoder::next() {
  if (next_ > bytes_.size()) return false;
  position_ = next_;
  const std::span<const std::byte> rest = bytes_.subspan(position_);
  if (rest.empty()) return stop(End::kClean, {});
  const std::string where = " at byte " + std::to_string(position_);
  const auto torn = [&] {
    return stop(End::kTorn, "the last block," + where + ", was not written to its end");
  };
  if (rest.size() < kHeadBytes || is_all_zero(rest.first(kHeadBytes))) {
    return is_all_zero(rest) || rest.size() < kHeadBytes
               ? torn()
               : stop(End::kDamaged, "there is no block" + where);
  }
  StateReader in{rest.first(kHeadBytes)};
  std::uint32_t magic = 0, reserved = 0;
  std::uint64_t sum = 0;
  const bool read = in.get(magic) && in.get(head_.stored_bytes) && in.get(head_.content_bytes) &&
                    in.get(head_.rows) && in.get(head_.chunks) && in.get(reserved) &&
                    in.get(head_.first_time) && in.get(head_.last_time) && in.get(content_sum_) &&
                    in.get(sum);
  if (!read || magic != kBlockMagic || sum != sum_of(rest.first(kHeadBytes - sizeof sum))) {
    return stop(End::kDamaged, "the checksum of the block head" + where + " does not match");
  }
  if (head_.stored_bytes > rest.size() - kHeadBytes) return torn();
  next_ = position_ + kHeadBytes + head_.stored_bytes;
  return true;
}

std::span<const std::byte> RowsDecoder::content() const {
  return bytes_.subspan(position_ + kHeadBytes, head_.stored_bytes);
}

bool RowsDecoder::is_sound() const { return sum_of(content()) == content_sum_; }

Result<std::vector<RowChunk>> RowsDecoder::chunks(Detail detail) {
  const auto refuse = [this](const char* why) {
    stop(End::kDamaged, std::string{why} + " at byte " + std::to_string(position_));
    return fail(ErrorKind::kIncompatible, complaint_);
  };
  if (!is_sound()) return refuse("the checksum of the block does not match");
  const std::span<const std::byte> stored = content();
  if (head_.content_bytes > kMaxContentBytes ||
      ZSTD_getFrameContentSize(stored.data(), stored.size()) != head_.content_bytes) {
    return refuse("the size of the content is wrong in the block");
  }
  std::vector<std::byte> bytes(head_.content_bytes);
  const std::size_t size =
      ZSTD_decompress(bytes.data(), bytes.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) != 0 || size != bytes.size()) {
    return refuse("zstd cannot read the content of the block");
  }
  Cursor in{bytes};
  std::vector<RowChunk> chunks;
  bool ok = get_directory(in, head_, header_.channels.size(), detail, chunks) &&
            get_differences(in, chunks, &History::times) &&
            get_differences(in, chunks, &History::offsets) && get_gaps_and_marks(in, chunks) &&
            (!header_.with_windowers || get_windowers(in, chunks));
  if (detail == Detail::kAll) {
    for (std::size_t c = 0; ok && c < header_.channels.size(); ++c) {
      ok = get_values(in, c, chunks);
    }
    ok = ok && in.left() == 0;
  }
  if (!ok) return refuse("the content cannot be understood in the block");
  return chunks;
}

}  // namespace anomalyd::runtime
