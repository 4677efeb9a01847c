#include "base/utf8.h"

namespace ll {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_continuation(unsigned char c) { return (c & 0xC0) == 0x80; }

// Length of the sequence a byte leads, 0 when it leads none.
size_t length_led_by(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// Table 3-7 of the Unicode standard: overlong forms, surrogates and code points past U+10FFFF show
// in the second byte.
bool is_second(unsigned char lead, unsigned char c) {
  switch (lead) {
    case 0xE0:
      return c >= 0xA0 && c <= 0xBF;
    case 0xED:
      return c >= 0x80 && c <= 0x9F;
    case 0xF0:
      return c >= 0x90 && c <= 0xBF;
    case 0xF4:
      return c >= 0x80 && c <= 0x8F;
    default:
      return is_continuation(c);
  }
}

}  // namespace

Utf8Front utf8_front(std::string_view bytes) {
  using Kind = Utf8Front::Kind;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  unsigned char lead = byte(0);
  size_t length = length_led_by(lead);
  if (length == 1) return {Kind::kCharacter, 1, lead};
  if (length == 0) return {Kind::kBroken, 1, 0};
  char32_t point = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Kind::kCut, i, 0};
    if (i == 1 ? !is_second(lead, byte(1)) : !is_continuation(byte(i)))
      return {Kind::kBroken, i, 0};
    point = point << 6 | (byte(i) & 0x3Fu);
  }
  return {Kind::kCharacter, length, point};
}

size_t find_invalid_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    Utf8Front front = utf8_front(bytes.substr(i));
    if (front.kind != Utf8Front::Kind::kCharacter) return i;
    i += front.size;
  }
  return std::string_view::npos;
}

char32_t next_code_point(std::string_view text, size_t& pos) {
  auto byte = [&](size_t i) { return static_cast<char32_t>(text[i] & 0x3F); };
  auto lead = static_cast<unsigned char>(text[pos]);
  size_t at = pos;
  if (lead < 0x80) {
    pos += 1;
    return lead;
  }
  if (lead < 0xE0) {
    pos += 2;
    return (lead & 0x1Fu) << 6 | byte(at + 1);
  }
  if (lead < 0xF0) {
    pos += 3;
    return (lead & 0x0Fu) << 12 | byte(at + 1) << 6 | byte(at + 2);
  }
  pos += 4;
  return (lead & 0x07u) << 18 | byte(at + 1) << 12 | byte(at + 2) << 6 | byte(at + 3);
}

char32_t previous_code_point(std::string_view text, size_t& pos) {
  do {
    --pos;
  } while (is_continuation(static_cast<unsigned char>(text[pos])));
  size_t end = pos;
  return next_code_point(text, end);
}

void append_utf8(std::string& out, char32_t point) {
  auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  auto put_rest = [&](int shift) { put(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put_rest(0);
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put_rest(6);
    put_rest(0);
  } else {
    put(0xF0 | point >> 18);
    put_rest(12);
    put_rest(6);
    put_rest(0);
  }
}

size_t append_repaired(std::string& out, std::string_view bytes, bool last) {
  size_t copied = 0;
  for (size_t i = 0; i < bytes.size();) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    Utf8Front front = utf8_front(bytes.substr(i));
    if (front.kind != Utf8Front::Kind::kCharacter) {
      out.append(bytes, copied, i - copied);
      if (front.kind == Utf8Front::Kind::kCut && !last) return i;
      out.append(kReplacement);
      copied = i + front.size;
    }
    i += front.size;
  }
  out.append(bytes, copied);
  return bytes.size();
}

}  // namespace ll
