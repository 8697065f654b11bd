#include "models/member_options.hpp"

#include <cmath>
#include <sstream>

namespace anomalyd::models {
namespace {

std::string to_text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Failure out_of_range(std::string_view name, const std::string& found, Range range) {
  return fail(ErrorKind::kInvalid, std::string{name} + ": found " + found + "; expected " +
                                       to_text(range.low) + ".." + to_text(range.high));
}

Result<const std::vector<double>*> find(const MemberOptions& options, std::string_view name,
                                        std::size_t max_count) {
  const auto it = options.find(name);
  if (it == options.end()) {
    return fail(ErrorKind::kInvalid, std::string{name} + ": found nothing; expected a value");
  }
  if (it->second.empty() || it->second.size() > max_count) {
    return fail(ErrorKind::kInvalid, std::string{name} + ": found " +
                                         std::to_string(it->second.size()) +
                                         " values; expected 1.." + std::to_string(max_count));
  }
  return &it->second;
}

}  // namespace

Result<double> number(const MemberOptions& options, std::string_view name, Range range) {
  const auto values = find(options, name, 1);
  if (!values) return Failure{values.error()};
  const double value = (*values)->front();
  if (!(value >= range.low && value <= range.high)) {
    return out_of_range(name, to_text(value), range);
  }
  return value;
}

Result<std::int64_t> whole_number(const MemberOptions& options, std::string_view name,
                                  Range range) {
  const auto values = whole_numbers(options, name, range, 1);
  if (!values) return Failure{values.error()};
  return values->front();
}

Result<std::vector<std::int64_t>> whole_numbers(const MemberOptions& options, std::string_view name,
                                                Range range, std::size_t max_count) {
  const auto values = find(options, name, max_count);
  if (!values) return Failure{values.error()};
  std::vector<std::int64_t> result;
  result.reserve((*values)->size());
  for (const double value : **values) {
    if (!(value >= range.low && value <= range.high) || value != std::floor(value)) {
      return out_of_range(name, to_text(value), range);
    }
    result.push_back(static_cast<std::int64_t>(value));
  }
  return result;
}

}  // namespace anomalyd::models
