#include "model/text/token_table.h"

#include <array>
#include <bit>
#include <functional>

#include "base/check.h"
#include "base/utf8.h"

namespace ll {

namespace {

constexpr size_t kNumCharacters = 256 + 68;  // 68 bytes have no printable character of their own

bool is_printable(size_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

// Code point to byte, -1 where there is none. Bytes without a printable character take those from
// U+0100 on, in order.
constexpr int16_t kNoByte = -1;
std::array<int16_t, kNumCharacters> make_byte_of_character() {
  std::array<int16_t, kNumCharacters> bytes;
  bytes.fill(kNoByte);
  size_t next = 256;
  for (size_t byte = 0; byte < 256; ++byte)
    bytes[is_printable(byte) ? byte : next++] = static_cast<int16_t>(byte);
  return bytes;
}

}  // namespace

std::optional<std::string> byte_level_bytes(std::string_view token) {
  static const std::array<int16_t, kNumCharacters> byte_of = make_byte_of_character();
  std::string bytes;
  for (size_t pos = 0; pos < token.size();) {
    char32_t point = next_code_point(token, pos);
    if (point >= kNumCharacters || byte_of[point] == kNoByte) return {};
    bytes += static_cast<char>(byte_of[point]);
  }
  return bytes;
}

TokenTable::TokenTable(int32_t num_ids, size_t num_bytes_hint)
    : spans_(at(num_ids), Span{kNone, 0}), slots_(std::bit_ceil(2 * at(num_ids) + 1), kNoToken) {
  arena_.reserve(num_bytes_hint);
}

void TokenTable::add(int32_t id, std::string_view bytes, bool can_find) {
  ensure(id >= 0 && id < num_ids() && !has(id), "two tokens of one id");
  ensure(arena_.size() + bytes.size() < kNone, "token table of more than 4 GiB");
  spans_[at(id)] = {static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(bytes.size())};
  arena_ += bytes;
  if (!can_find) return;
  int32_t& slot = slots_[slot_of(bytes)];
  ensure(slot == kNoToken, "two tokens of the same bytes");
  slot = id;
}

std::string_view TokenTable::bytes(int32_t id) const {
  if (!has(id)) return {};
  Span span = spans_[at(id)];
  return std::string_view(arena_).substr(span.begin, span.size);
}

int32_t TokenTable::find(std::string_view bytes) const { return slots_[slot_of(bytes)]; }

size_t TokenTable::slot_of(std::string_view bytes) const {
  size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(bytes) & mask;
  while (slots_[slot] != kNoToken && this->bytes(slots_[slot]) != bytes) slot = (slot + 1) & mask;
  return slot;
}

}  // namespace ll
