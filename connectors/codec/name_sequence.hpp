#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace anomalyd::connectors {

/// Entries found by name, at the price of one comparison while the names come in the order in which
/// they came the first time, as the fields of records do. `Entry` has a member `name`.
template <typename Entry>
class NameSequence {
 public:
  /// The next name is expected to be the first one again.
  void rewind() noexcept { next_ = 0; }

  /// The entry that is likely to come next, or null. `advance` accepts it.
  [[nodiscard]] Entry* expected() noexcept {
    return next_ < entries_.size() ? entries_[next_].get() : nullptr;
  }
  void advance() noexcept { ++next_; }

  /// Returns the entry called `name`, or null.
  [[nodiscard]] Entry* find(std::string_view name) {
    if (Entry* likely = expected(); likely != nullptr && likely->name == name) {
      advance();
      return likely;
    }
    const auto found = positions_.find(name);
    if (found == positions_.end()) return nullptr;
    next_ = found->second + 1;
    return entries_[found->second].get();
  }

  /// Adds an entry whose name is not in yet. The reference stays valid.
  Entry& add(Entry entry) {
    entries_.push_back(std::make_unique<Entry>(std::move(entry)));
    positions_.emplace(entries_.back()->name, entries_.size() - 1);
    next_ = entries_.size();
    return *entries_.back();
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::vector<std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> positions_;
  std::size_t next_ = 0;
};

}  // namespace anomalyd::connectors
