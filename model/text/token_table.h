#pragma once
// The tokens of a vocabulary: the bytes of an id and the id of some bytes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ll {

constexpr int32_t kNoToken = -1;

// The bytes that a token of a byte-level vocabulary writes as printable characters ("Ġthe" is
// " the"); nothing when a character of it stands for no byte. [Radford et al. 2019, GPT-2]
std::optional<std::string> byte_level_bytes(std::string_view token);

class TokenTable {
 public:
  // For ids from 0 to num_ids - 1; none is a token yet.
  explicit TokenTable(int32_t num_ids, size_t num_bytes_hint = 0);

  // Takes a token whose id has none yet. With `can_find`, its bytes must be new among those.
  void add(int32_t id, std::string_view bytes, bool can_find);

  int32_t num_ids() const { return static_cast<int32_t>(spans_.size()); }
  bool has(int32_t id) const { return id >= 0 && id < num_ids() && spans_[at(id)].begin != kNone; }
  // Empty when no token has this id. Valid until the next add.
  std::string_view bytes(int32_t id) const;
  // kNoToken when there is none.
  int32_t find(std::string_view bytes) const;

 private:
  struct Span {
    uint32_t begin, size;
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  static size_t at(int32_t id) { return static_cast<size_t>(id); }
  size_t slot_of(std::string_view bytes) const;

  std::string arena_;
  std::vector<Span> spans_;
  std::vector<int32_t> slots_;  // open addressing by the hash of the bytes, at most half full
};

}  // namespace ll
