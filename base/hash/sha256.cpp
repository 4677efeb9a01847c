#include "base/hash/sha256.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/hash/sha256_instructions.h"

namespace ll {

namespace {

uint32_t load_big_endian(const std::byte* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return __builtin_bswap32(word);
}

void compress_block(std::array<uint32_t, 8>& state, const std::byte* block) {
  std::array<uint32_t, 64> w;
  for (size_t t = 0; t < 16; ++t) w[t] = load_big_endian(block + 4 * t);
  for (size_t t = 16; t < 64; ++t) {
    uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
    uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t t = 0; t < 64; ++t) {
    uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kSha256Round[t] + w[t];
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  std::array<uint32_t, 8> mixed = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += mixed[i];
}

void compress(std::array<uint32_t, 8>& state, const std::byte* blocks, size_t num_blocks) {
  static const Sha256Compress instructions = sha256_instructions();
  (instructions ? instructions : sha256_portable)(state, blocks, num_blocks);
}

}  // namespace

void sha256_portable(std::array<uint32_t, 8>& state, const std::byte* blocks, size_t num_blocks) {
  for (size_t i = 0; i < num_blocks; ++i) compress_block(state, blocks + 64 * i);
}

void Sha256::update(std::span<const std::byte> data) {
  size_t held = length_ % 64;
  length_ += data.size();
  if (held > 0) {
    size_t taken = std::min(data.size(), 64 - held);
    std::copy_n(data.begin(), taken, block_.begin() + static_cast<std::ptrdiff_t>(held));
    data = data.subspan(taken);
    if (held + taken < 64) return;
    compress(state_, block_.data(), 1);
  }
  compress(state_, data.data(), data.size() / 64);
  data = data.subspan(data.size() / 64 * 64);
  std::copy(data.begin(), data.end(), block_.begin());
}

std::string Sha256::hex() {
  uint64_t bits = length_ * 8;
  std::array<std::byte, 72> tail = {std::byte{0x80}};
  size_t zeros = (119 - length_ % 64) % 64;  // to eight bytes before a block's end
  for (size_t i = 0; i < 8; ++i) tail[1 + zeros + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(std::span(tail).first(1 + zeros + 8));
  std::string out;
  for (uint32_t word : state_) out += fmt::format("{:08x}", word);
  return out;
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

}  // namespace ll
