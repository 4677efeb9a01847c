#pragma once
// A value in the mini language of format specifications.
#include <string>
#include <string_view>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

struct NumberFormat {
  char type = 's';
  char sign = '-';  // '+' and ' ' stand before what is not negative
  bool alternate = false, thousands = false;
  int precision = -1;
};

// Digits of a number (types d, x, X, o, b, e, E, f, F, g, G, %), with sign; throws Error where the
// type does not take the value.
std::string format_number(const Value& value, const NumberFormat& format);

// Widths and precisions that a format may ask for.
constexpr int kMaxFormatWidth = 10'000;
// Takes a number from the front of `rest`; -1 when there is none.
int take_number(std::string_view& rest);

}  // namespace ll::jinja
