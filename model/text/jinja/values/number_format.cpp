#include "model/text/jinja/values/number_format.h"

#include <cmath>

#include "base/check.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

std::string digits_of_whole(const Value& value, const NumberFormat& format, bool& negative) {
  if (value.is(Kind::kBigInt)) {
    std::string_view digits = value.text();
    negative = digits.starts_with('-');
    check(format.type == 'd', "an integer of more than 64 bits has a decimal form only");
    return std::string(digits.substr(negative ? 1 : 0));
  }
  int64_t whole = value.is(Kind::kFloat) ? static_cast<int64_t>(value.as_double()) : value.as_int();
  negative = whole < 0;
  auto size = negative ? uint64_t{0} - static_cast<uint64_t>(whole) : static_cast<uint64_t>(whole);
  bool alternate = format.alternate;
  switch (format.type) {
    case 'x':
      return fmt::format("{}{:x}", alternate ? "0x" : "", size);
    case 'X':
      return fmt::format("{}{:X}", alternate ? "0X" : "", size);
    case 'o':
      return fmt::format("{}{:o}", alternate ? "0o" : "", size);
    case 'b':
      return fmt::format("{}{:b}", alternate ? "0b" : "", size);
    default:
      return fmt::format("{}", size);
  }
}

std::string digits_of_real(const Value& value, const NumberFormat& format, bool& negative) {
  double real = value.as_double();
  negative = std::signbit(real);
  double size = std::abs(real);
  int precision = format.precision < 0 ? 6 : format.precision;
  switch (format.type) {
    case 'e':
      return fmt::format("{:.{}e}", size, precision);
    case 'E':
      return fmt::format("{:.{}E}", size, precision);
    case 'g':
      return fmt::format("{:.{}g}", size, precision);
    case 'G':
      return fmt::format("{:.{}G}", size, precision);
    case '%':
      return fmt::format("{:.{}f}%", size * 100, precision);
    default:
      return fmt::format("{:.{}f}", size, precision);
  }
}

std::string with_thousands(const std::string& digits) {
  size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < end && (end - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

}  // namespace

std::string format_number(const Value& value, const NumberFormat& format) {
  constexpr std::string_view kWhole = "dxXob";
  bool is_whole_type = kWhole.find(format.type) != kWhole.npos;
  if (!value.is_number())
    fail("%{} format: a real number is required, not {}", format.type, type_name(value));
  if (is_whole_type && value.is(Kind::kFloat) && !(std::abs(value.as_double()) < 9.2e18))
    fail("a float of that size has no integer form");
  bool negative = false;
  std::string digits = is_whole_type ? digits_of_whole(value, format, negative)
                                     : digits_of_real(value, format, negative);
  if (format.thousands) digits = with_thousands(digits);
  bool has_sign = negative || format.sign != '-';
  return has_sign ? fmt::format("{}{}", negative ? '-' : format.sign, digits) : digits;
}

int take_number(std::string_view& rest) {
  int number = -1;
  while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
    number = std::max(number, 0) * 10 + (rest[0] - '0');
    check(number <= kMaxFormatWidth, "a format asks for more than {} characters", kMaxFormatWidth);
    rest.remove_prefix(1);
  }
  return number;
}

}  // namespace ll::jinja
