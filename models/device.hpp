#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::models {

/// Resolves "auto", "cpu", "cuda" or "cuda:N" to "cpu" or "cuda:N". `auto` takes the first CUDA
/// device if there is one. Errors: kInvalid (no such device, or this LibTorch has no CUDA).
[[nodiscard]] Result<std::string> pick_device(std::string_view wanted);

/// `threads`, or half of the cores when it is 0: reading and parsing need the other half.
[[nodiscard]] std::size_t resolve_threads(std::size_t threads);

/// How fast this host multiplies matrices: the ceiling of every model's speed.
struct ProductSpeed {
  double gflops = 0;   ///< 10^9 multiplications and additions a second, float32.
  bool slow = false;   ///< Far below what the device should do.
  std::string advice;  ///< What to do about it; empty unless slow.
};

/// Measures for about a tenth of a second. `threads` counts on the CPU only.
[[nodiscard]] ProductSpeed measure_product_speed(std::string_view device, std::size_t threads,
                                                 Clock& clock);

/// The version of the LibTorch in use: "1.13.1".
[[nodiscard]] std::string libtorch_version();

/// What an exception out of LibTorch means to a caller: kExhausted (out of memory), kDeviceLost,
/// or kInvalid.
[[nodiscard]] Error to_error(const std::exception& exception);

/// Runs `body`, which returns a Result, and turns what it throws into an error.
template <typename Body>
auto without_exceptions(const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return Failure{to_error(exception)};
  }
}

}  // namespace anomalyd::models
