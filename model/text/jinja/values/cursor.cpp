#include "model/text/jinja/values/cursor.h"

#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/dict.h"
#include "model/text/jinja/values/loop_state.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

bool Cursor::can_walk(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kSequence:
    case Kind::kDict:
    case Kind::kLoop:
    case Kind::kIterator:
      return true;
    default:
      return false;
  }
}

Cursor::Cursor(const Value& value) : value_(value) {
  if (!can_walk(value)) fail("'{}' object is not iterable", type_name(value));
}

bool Cursor::next(Value& item) {
  switch (value_.kind()) {
    case Kind::kString: {
      std::string_view text = value_.text();
      if (at_ == text.size()) return false;
      size_t begin = at_;
      next_code_point(text, at_);
      item = Value::string(text.substr(begin, at_ - begin));
      return true;
    }
    case Kind::kSequence:
      if (at_ == value_.sequence().items.size()) return false;
      item = value_.sequence().items[at_++];
      return true;
    case Kind::kDict:
      if (at_ == value_.dict().size()) return false;
      item = value_.dict().entries()[at_++].key;
      return true;
    case Kind::kLoop:
      return value_.loop().advance(item);
    case Kind::kIterator:
      return value_.iterator().next(item);
    default:
      return false;
  }
}

bool length_of(const Value& value, size_t& length) {
  switch (value.kind()) {
    case Kind::kUndefined:
      length = 0;
      return true;
    case Kind::kString:
      length = count_code_points(value.text());
      return true;
    case Kind::kSequence:
      length = value.sequence().items.size();
      return true;
    case Kind::kDict:
      length = value.dict().size();
      return true;
    case Kind::kLoop:
      length = value.loop().length();
      return true;
    default:
      return false;
  }
}

std::span<const Value> items_of(const Value& value, Arena& arena) {
  if (value.is(Kind::kSequence)) return value.sequence().items;
  std::vector<Value> items;
  Cursor cursor(value);
  for (Value item; cursor.next(item);) items.push_back(item);
  Value* kept = arena.array<Value>(items.size());
  std::copy(items.begin(), items.end(), kept);
  return {kept, items.size()};
}

}  // namespace ll::jinja
