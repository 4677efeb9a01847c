#include "model/text/jinja/values/dict.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "base/check.h"
#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/render_meter.h"

namespace ll::jinja {

namespace {

size_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }

// Equal keys have equal hashes: 1, 1.0 and True are one key.
size_t hash_of(const Value& key) {
  switch (key.kind()) {
    case Kind::kString:
      return hash_of(key.text());
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
    case Kind::kFloat:
      return std::hash<double>()(key.as_double());
    case Kind::kSequence: {
      size_t hash = 17;
      if (!key.sequence().is_tuple()) break;
      RenderMeter::count(1 + key.sequence().items.size());
      for (const Value& item : key.sequence().items) hash = hash * 31 + hash_of(item);
      return hash;
    }
    case Kind::kDict:
      break;
    default:
      return std::hash<const void*>()(key.address());
  }
  fail("unhashable type: '{}'", type_name(key));
}

}  // namespace

Dict::Entry* Dict::find_entry(const Value& key) const {
  size_t hash = hash_of(key);
  if (slots_ == nullptr) {
    for (size_t i = 0; i < size_; ++i)
      if (equals(entries_[i].key, key)) return &entries_[i];
    return nullptr;
  }
  for (size_t slot = hash & (num_slots_ - 1); slots_[slot] != kEmpty;
       slot = (slot + 1) & (num_slots_ - 1)) {
    RenderMeter::count(1);
    if (equals(entries_[slots_[slot]].key, key)) return &entries_[slots_[slot]];
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  Entry* entry = find_entry(key);
  return entry ? &entry->value : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  if (slots_ != nullptr) return find(Value::string(key));
  for (size_t i = 0; i < size_; ++i)
    if (entries_[i].key.is(Kind::kString) && entries_[i].key.text() == key)
      return &entries_[i].value;
  return nullptr;
}

void Dict::reserve(Arena& arena, size_t n) {
  if (n <= capacity_) return;
  Entry* moved = arena.array<Entry>(n);
  std::copy(entries_, entries_ + size_, moved);
  entries_ = moved;
  capacity_ = n;
}

void Dict::put(Arena& arena, const Value& key, const Value& value) {
  if (Entry* entry = find_entry(key)) {
    entry->value = value;
    return;
  }
  if (size_ == capacity_) reserve(arena, std::max<size_t>(4, 2 * capacity_));
  entries_[size_++] = {key, value};
  if (slots_ == nullptr ? size_ > kLinear : 2 * size_ > num_slots_) return index(arena);
  if (slots_ != nullptr) enter(static_cast<uint32_t>(size_ - 1));
}

void Dict::index(Arena& arena) {
  num_slots_ = std::bit_ceil(4 * size_);
  slots_ = arena.array<uint32_t>(num_slots_);
  std::fill(slots_, slots_ + num_slots_, kEmpty);
  for (size_t i = 0; i < size_; ++i) enter(static_cast<uint32_t>(i));
}

void Dict::enter(uint32_t entry) {
  size_t slot = hash_of(entries_[entry].key) & (num_slots_ - 1);
  while (slots_[slot] != kEmpty) slot = (slot + 1) & (num_slots_ - 1);
  slots_[slot] = entry;
}

}  // namespace ll::jinja
