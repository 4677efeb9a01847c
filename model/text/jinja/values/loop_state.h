#pragma once
// The variable `loop` of a running loop.
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Arena;

struct LoopState {
  LoopState(const Value& iterable, int depth, Arena& arena)
      : iterable(iterable), cursor(iterable), depth0(depth), arena(&arena) {}

  // The next item becomes the current one; false at the end. Looks no further ahead than asked.
  bool advance(Value& item);
  int64_t index() const { return index0 + 1; }
  // The number of all items, which an iterator has to give for it.
  size_t length();
  bool is_last();
  const Value& peek();  // kMissing at the end

  Value iterable;
  Cursor cursor;
  int64_t index0 = -1;
  Value previous, current, ahead;
  bool has_ahead = false;
  Value changed;  // the arguments of the last loop.changed()
  int depth0;
  Arena* arena;
};

}  // namespace ll::jinja
