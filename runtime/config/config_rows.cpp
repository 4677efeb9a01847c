#include "runtime/config/config_rows.h"

#include <charconv>

#include "base/ascii.h"
#include "base/check.h"

namespace ll {

int64_t parse_whole(const std::string& text, int64_t low, int64_t high) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(), "'{}' is not a whole number",
        text);
  check(value >= low && value <= high, "{} is outside {} to {}", value, low, high);
  return value;
}

double parse_number(const std::string& text, double low, double high) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(), "'{}' is not a number", text);
  check(value >= low && value <= high, "{} is outside {} to {}", text, low, high);
  return value;
}

bool parse_flag(const std::string& text) {
  check(text == "true" || text == "false", "'{}' is neither true nor false", text);
  return text == "true";
}

size_t parse_bytes(const std::string& text) {
  constexpr std::pair<const char*, double> kUnits[] = {
      {"", 1},      {"b", 1},        {"kb", 1e3},     {"mb", 1e6},     {"gb", 1e9},
      {"tb", 1e12}, {"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {"tib", 0x1p40}};
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit = ascii_lower({end, text.data() + text.size()});
  std::erase(unit, ' ');
  if (error == std::errc() && value >= 0)
    for (const auto& [name, factor] : kUnits)
      if (unit == name && value * factor < 0x1p60) return static_cast<size_t>(value * factor);
  fail("'{}' is not a size, as 6000000000, 6GB or 6GiB", text);
}

std::string range_phrase(int64_t low, int64_t high) {
  if (high < kMany) return fmt::format("({} to {})", low, high);
  return low > 1 ? fmt::format("({} or more)", low) : "";
}

std::string number_phrase(double low, double high) {
  return fmt::format("({} to {})", number_text(low), number_text(high));
}

std::string number_text(double value) { return fmt::format("{:g}", value); }

void refuse_choice(const std::string& text, const std::string& names) {
  fail("'{}' is not one of {}", text, names);
}

std::string help_phrase(std::string_view help, const std::string& values, bool is_choice) {
  const char* between = help.empty() || values.empty() ? "" : is_choice ? ": " : " ";
  return fmt::format("{}{}{}", help, between, values);
}

}  // namespace ll
