#include "model/text/jinja/values/loop_state.h"

#include "model/text/jinja/values/arena.h"

namespace ll::jinja {

bool LoopState::advance(Value& item) {
  const Value& next = peek();
  if (next.is_missing()) return false;
  previous = current;
  item = current = next;
  has_ahead = false;
  ++index0;
  return true;
}

const Value& LoopState::peek() {
  if (!has_ahead && !cursor.next(ahead)) ahead = Value();
  has_ahead = true;
  return ahead;
}

bool LoopState::is_last() { return peek().is_missing(); }

size_t LoopState::length() {
  size_t length = 0;
  if (length_of(iterable, length)) return length;
  // What an iterator still has is put into a list, which takes its place.
  Value first = peek();
  size_t seen = static_cast<size_t>(index0 + 1);
  std::span<const Value> rest = items_of(iterable, *arena);
  size_t extra = first.is_missing() ? 0 : 1;
  Value* items = arena->array<Value>(seen + extra + rest.size());
  std::fill(items, items + seen, Value());
  if (extra == 1) items[seen] = first;
  std::copy(rest.begin(), rest.end(), items + seen + extra);
  size_t all = seen + extra + rest.size();
  iterable = Value::of(arena->make<Sequence>(std::span<const Value>(items, all)));
  cursor = Cursor(Value::of(arena->make<Sequence>(rest)));
  return all;
}

}  // namespace ll::jinja
