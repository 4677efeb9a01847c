#pragma once
// A dict of Python: keys in the order in which they came, found by hash where there are many.
#include <cstdint>
#include <span>
#include <string_view>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Dict {
 public:
  struct Entry {
    Value key, value;
  };

  std::span<const Entry> entries() const { return {entries_, size_}; }
  size_t size() const { return size_; }
  // nullptr when there is none. Throws Error for a key that has no hash.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;

  void reserve(Arena& arena, size_t n);
  // The last value of equal keys stands, at the first one's place.
  void put(Arena& arena, const Value& key, const Value& value);

 private:
  static constexpr size_t kLinear = 8;  // as many entries are looked through
  static constexpr uint32_t kEmpty = UINT32_MAX;
  Entry* find_entry(const Value& key) const;
  void index(Arena& arena);
  void enter(uint32_t entry);

  Entry* entries_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
  uint32_t* slots_ = nullptr;  // open addressing, at most half full
  size_t num_slots_ = 0;
};

struct NamespaceValue {
  Dict attributes;
};

}  // namespace ll::jinja
