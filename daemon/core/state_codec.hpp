#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace anomalyd {

/// What is written as its bytes are.
template <typename T>
concept Plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

/// Appends plain values to a byte string, little-endian as the host is: the format of snapshots.
///
/// A class with state writes itself in `void save(StateWriter&) const` and reads itself in
/// `bool load(StateReader&)`, in the same order. Nothing is rounded, so a restart goes on exactly.
class StateWriter {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  /// Collects all bytes.
  StateWriter() = default;
  /// Hands them on in pieces of about a megabyte, so that a large state needs no copy in memory.
  explicit StateWriter(Sink sink) : sink_{std::move(sink)} {}

  template <Plain T>
  void put(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    append({bytes, sizeof value});
  }
  template <Plain T>
  void put_all(std::span<const T> values) {
    put(static_cast<std::uint64_t>(values.size()));
    append(std::as_bytes(values));
  }
  template <Plain T>
  void put_all(const std::vector<T>& values) {
    put_all(std::span<const T>{values});
  }
  void put_text(const std::string& text) { put_all(std::span<const char>{text}); }

  /// Hands on what is left; only with a sink.
  void flush() {
    sink_(bytes_);
    bytes_.clear();
  }

  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  static constexpr std::size_t kPiece = 1 << 20;

  void append(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    if (sink_ && bytes_.size() >= kPiece) flush();
  }

  std::vector<std::byte> bytes_;
  Sink sink_;
};

/// Reads what a StateWriter wrote. The bytes may be damaged or hostile: no read goes past their
/// end and no size is believed beyond what is left. After the first failure every read fails.
class StateReader {
 public:
  explicit StateReader(std::span<const std::byte> bytes) : bytes_{bytes} {}

  template <Plain T>
  [[nodiscard]] bool get(T& value) {
    if (!ok_ || bytes_.size() < sizeof value) return ok_ = false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return true;
  }
  [[nodiscard]] bool get(bool& value) {  // any byte but 0 is true
    std::uint8_t byte = 0;
    if (!get(byte)) return false;
    value = byte != 0;
    return true;
  }
  template <Plain T>
  [[nodiscard]] bool get_all(std::vector<T>& values) {
    std::uint64_t size = 0;
    if (!get(size)) return false;
    if (size > bytes_.size() / sizeof(T)) return ok_ = false;
    values.resize(size);
    if (size > 0) std::memcpy(values.data(), bytes_.data(), size * sizeof(T));
    bytes_ = bytes_.subspan(size * sizeof(T));
    return true;
  }
  [[nodiscard]] bool get_text(std::string& text) {
    std::vector<char> chars;
    if (!get_all(chars)) return false;
    text.assign(chars.begin(), chars.end());
    return true;
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

}  // namespace anomalyd
