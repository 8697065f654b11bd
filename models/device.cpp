#include "models/device.hpp"

#include <algorithm>
#include <charconv>
#include <new>
#include <optional>
#include <thread>

#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kSlowPerThread = 15;  // GFLOP/s; a reference BLAS gives 4, a tuned one over 30
constexpr double kSlowAccelerator = 1000;

ProductSpeed judge(double gflops, bool cpu, std::size_t threads) {
  const double floor = cpu ? kSlowPerThread * static_cast<double>(threads) : kSlowAccelerator;
  ProductSpeed speed{gflops, gflops < floor, {}};
  if (speed.slow) {
    speed.advice = cpu ? "install a tuned BLAS (Debian: libopenblas0-openmp) and check "
                         "'update-alternatives --display libblas.so.3-x86_64-linux-gnu'"
                       : "check with nvidia-smi whether another process uses the device";
  }
  return speed;
}

// N of "cuda:N".
std::optional<std::size_t> index_of(std::string_view device) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!device.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = device.substr(kPrefix.size());
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), index);
  if (error != std::errc{} || end != digits.end()) return std::nullopt;
  return index;
}

}  // namespace

Result<std::string> pick_device(std::string_view wanted) {
  if (wanted == "cpu") return std::string{wanted};
  const std::size_t count = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  if (wanted == "auto") return std::string{count > 0 ? "cuda:0" : "cpu"};

  const std::optional<std::size_t> index = wanted == "cuda" ? 0 : index_of(wanted);
  if (!index) {
    return fail(ErrorKind::kInvalid,
                "device: found '" + std::string{wanted} + "'; expected auto, cpu, cuda or cuda:N");
  }
  if (*index >= count) {
    return fail(ErrorKind::kInvalid,
                "device: found " + std::to_string(count) + " CUDA devices; expected at least " +
                    std::to_string(*index + 1) + " for '" + std::string{wanted} + "'");
  }
  return "cuda:" + std::to_string(*index);
}

std::size_t resolve_threads(std::size_t threads) {
  if (threads > 0) return threads;
  return std::max<std::size_t>(1, std::thread::hardware_concurrency() / 2);
}

ProductSpeed measure_product_speed(std::string_view device, std::size_t threads, Clock& clock) {
  constexpr std::int64_t kSize = 1024;
  constexpr std::chrono::milliseconds kDuration{100};
  const c10::InferenceMode inference;
  const at::Device where{std::string{device}};
  const int threads_before = at::get_num_threads();
  at::set_num_threads(static_cast<int>(threads));
  const at::Tensor a = at::ones({kSize, kSize}, at::TensorOptions{where});
  at::Tensor product = at::mm(a, a);  // the first one starts threads and loads kernels
  (void)product[0][0].item<float>();

  int count = 0;
  const MonotonicTime start = clock.monotonic();
  MonotonicTime now = start;
  while (now - start < kDuration) {
    at::mm_out(product, a, a);
    (void)product[0][0].item<float>();  // an accelerator answers when it is done
    now = clock.monotonic();
    ++count;
  }
  at::set_num_threads(threads_before);
  const double seconds = std::chrono::duration<double>(now - start).count();
  const double gflops = 2e-9 * kSize * kSize * kSize * count / seconds;
  return judge(gflops, where.is_cpu(), threads);
}

std::string libtorch_version() { return TORCH_VERSION; }

Error to_error(const std::exception& exception) {
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) {
    return {ErrorKind::kExhausted, "out of memory"};
  }
  const auto* raised = dynamic_cast<const c10::Error*>(&exception);
  std::string text = raised != nullptr ? raised->what_without_backtrace() : exception.what();
  text.resize(std::min(text.size(), text.find('\n')));
  if (dynamic_cast<const c10::OutOfMemoryError*>(&exception) != nullptr ||
      text.find("out of memory") != std::string::npos ||
      text.find("can't allocate memory") != std::string::npos) {
    return {ErrorKind::kExhausted, std::move(text)};
  }
  if (text.find("CUDA") != std::string::npos || text.find("CUBLAS") != std::string::npos) {
    return {ErrorKind::kDeviceLost, std::move(text)};
  }
  return {ErrorKind::kInvalid, std::move(text)};
}

}  // namespace anomalyd::models
