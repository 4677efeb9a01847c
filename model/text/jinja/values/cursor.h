#pragma once
// A walk over what Python can iterate over: the items of a list, the keys of a dict, the characters
// of a text, what an iterator has left, nothing of an undefined value.
#include <cstddef>
#include <span>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Cursor {
 public:
  static bool can_walk(const Value& value);
  // Throws Error for a value that has no items.
  explicit Cursor(const Value& value);
  bool next(Value& item);

 private:
  Value value_;
  size_t at_ = 0;
};

// Number of items. False where Python's len() fails.
bool length_of(const Value& value, size_t& length);
// The items of any value that can be walked.
std::span<const Value> items_of(const Value& value, Arena& arena);

}  // namespace ll::jinja
