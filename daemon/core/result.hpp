#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#if __has_include(<tl/expected.hpp>)
#include <tl/expected.hpp>
#else
#include <expected>
#endif

namespace anomalyd {

/// Why an operation failed, as far as the caller must care: the kind says what to do next.
enum class ErrorKind : std::uint8_t {
  kInvalid,       ///< Input or configuration is wrong. Retrying cannot help.
  kUnavailable,   ///< A dependency did not answer. Retry after a back-off.
  kExhausted,     ///< Device memory, disk or a queue is full. Retry with less work.
  kIncompatible,  ///< A checkpoint, snapshot or model of another version or shape.
  kNotFinite,     ///< A model whose weights are NaN or infinite. Another version has to do.
  kDeviceLost,    ///< The accelerator is gone. Go on with another device.
  kCancelled,     ///< The caller asked to stop. Not a fault.
};

/// A failure with one sentence for the operator. Callers add context on the way up;
/// nobody parses `message`.
struct Error {
  ErrorKind kind;
  std::string message;  ///< "found X, expected Y" with the offending values, no trailing period.

  /// True when the same call may succeed later or with less work.
  [[nodiscard]] bool retriable() const noexcept {
    return kind == ErrorKind::kUnavailable || kind == ErrorKind::kExhausted;
  }

  /// Returns this error prefixed with what was being attempted: "loading the model: ...".
  [[nodiscard]] Error while_doing(std::string_view action) && {
    return {kind, std::string{action} + ": " + std::move(message)};
  }
};

#if __has_include(<tl/expected.hpp>)
template <typename T>
using Result = tl::expected<T, Error>;
using Failure = tl::unexpected<Error>;
#else
template <typename T>
using Result = std::expected<T, Error>;
using Failure = std::unexpected<Error>;
#endif

/// The outcome of an operation that returns nothing but may fail.
using Status = Result<void>;

/// Builds the failed side of a Result.
[[nodiscard]] inline Failure fail(ErrorKind kind, std::string message) {
  return Failure{Error{kind, std::move(message)}};
}

/// Passes an error up, saying what was being attempted.
[[nodiscard]] inline Failure fail(Error error, std::string_view action) {
  return Failure{std::move(error).while_doing(action)};
}

}  // namespace anomalyd
