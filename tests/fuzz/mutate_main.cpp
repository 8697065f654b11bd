// Drives a fuzz target where libFuzzer is not there: takes the files of a corpus, changes them at
// random, and feeds them to the target until the time is over. A given seed always makes the same
// inputs. Understands the options of libFuzzer that the tests use:
//
//   x_fuzz [-max_total_time=SECONDS] [-seed=N] CORPUS_FOLDER...   mutate
//   x_fuzz FILE                                                   try one input again
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name of the sanitizers
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMaxSize = 1 << 16;
constexpr unsigned kMaxSecondsPerInput = 10;
constexpr long kMaxResidentKilobytes = 2L << 20;
constexpr const char* kCrashFile = "crash-input";

Input current;  // what the target is reading, for whoever reports its death

void save_current_input() {
  if (std::FILE* file = std::fopen(kCrashFile, "wb")) {
    std::fwrite(current.data(), 1, current.size(), file);
    std::fclose(file);
    std::fprintf(stderr, "the input is in %s (%zu bytes)\n", kCrashFile, current.size());
  }
}

void on_signal(int signal) {
  std::fprintf(stderr, signal == SIGALRM ? "an input took more than 10 s\n" : "signal %d\n",
               signal);
  save_current_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void report_deaths() {
  for (int signal : {SIGABRT, SIGALRM}) std::signal(signal, on_signal);
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(save_current_input);
  } else {
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, on_signal);
  }
}

Input read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

class Mutator {
 public:
  Mutator(std::vector<Input> corpus, std::uint64_t seed)
      : corpus_{std::move(corpus)}, random_{seed} {}

  /// One input of the corpus after one to eight changes.
  Input next() {
    Input input = pick_input();
    for (std::size_t changes = 1 + below(8); changes > 0; --changes) change(input);
    if (input.size() > kMaxSize) input.resize(kMaxSize);
    return input;
  }

 private:
  void change(Input& input) {
    if (input.empty()) return input.push_back(any_byte());
    const std::size_t at = below(input.size());
    const std::size_t length = 1 + below(std::min<std::size_t>(input.size() - at, 64));
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = begin + static_cast<std::ptrdiff_t>(length);
    switch (below(8)) {
      case 0: input[at] ^= static_cast<std::uint8_t>(1U << below(8)); break;
      case 1: input[at] = any_byte(); break;
      case 2: input.insert(begin, any_byte()); break;
      case 3: input.erase(begin, end); break;
      case 4: insert(input, at, Input(begin, end)); break;      // repeat a part
      case 5: insert(input, at, part_of(pick_input())); break;  // splice
      case 6: std::fill(begin, end, kExtremes[below(kExtremes.size())]); break;
      case 7: input.resize(at); break;
    }
  }

  static void insert(Input& input, std::size_t at, const Input& part) {
    input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), part.begin(), part.end());
  }

  Input part_of(const Input& input) {
    if (input.empty()) return {};
    const std::size_t at = below(input.size());
    const std::size_t length = 1 + below(input.size() - at);
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
  }

  const Input& pick_input() { return corpus_[below(corpus_.size())]; }
  std::size_t below(std::size_t end) { return random_() % end; }

  std::uint8_t any_byte() {
    static constexpr std::string_view kStructure =
        "{}[]\",:.-+eE0129 \n\t\\$^&*!#|>\x01\x7f\x80\xff";
    return static_cast<std::uint8_t>(below(2) == 0 ? kStructure[below(kStructure.size())]
                                                   : static_cast<char>(below(256)));
  }

  static constexpr std::array<std::uint8_t, 6> kExtremes{0x00, 0xff, 0x7f, 0x80, '9', ' '};

  std::vector<Input> corpus_;
  std::mt19937_64 random_;
};

void run(Input input) {
  current = std::move(input);
  ::alarm(kMaxSecondsPerInput);
  // A copy of the exact size, so that AddressSanitizer sees a read past the end.
  const Input exact(current.begin(), current.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  ::alarm(0);
}

/// The number after `name` in `argument`, or `fallback` if it is another option.
std::uint64_t option(std::string_view argument, std::string_view name, std::uint64_t fallback) {
  if (argument.starts_with(name)) {
    argument.remove_prefix(name.size());
    std::from_chars(argument.data(), argument.data() + argument.size(), fallback);
  }
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seconds = 10;
  std::uint64_t seed = 1;
  std::vector<Input> corpus{{}};
  report_deaths();

  for (const std::string_view argument : std::vector<std::string_view>(argv + 1, argv + argc)) {
    seconds = option(argument, "-max_total_time=", seconds);
    seed = option(argument, "-seed=", seed);
    if (std::filesystem::is_regular_file(argument)) {
      run(read_file(argument));
      return 0;
    }
    if (!std::filesystem::is_directory(argument)) continue;
    for (const auto& entry : std::filesystem::directory_iterator{argument}) {
      corpus.push_back(read_file(entry.path()));
    }
  }
  std::sort(corpus.begin(), corpus.end());  // the order of a folder is nobody's promise

  for (const Input& input : corpus) run(input);
  std::uint64_t runs = corpus.size();
  Mutator mutator{std::move(corpus), seed};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
  while (std::chrono::steady_clock::now() < end) {
    run(mutator.next());
    ++runs;
  }

  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("%llu inputs in %llu s, at most %ld MB\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(seconds), usage.ru_maxrss >> 10);
  return usage.ru_maxrss < kMaxResidentKilobytes ? 0 : 1;
}
