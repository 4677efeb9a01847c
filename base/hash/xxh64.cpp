#include "base/hash/xxh64.h"

#include <array>
#include <bit>
#include <cstring>

namespace ll {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;

template <class Word>
uint64_t take(std::span<const std::byte>& data) {
  Word word;
  std::memcpy(&word, data.data(), sizeof word);
  data = data.subspan(sizeof word);
  return word;
}

uint64_t round(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

uint64_t merge(uint64_t sum, uint64_t lane) { return (sum ^ round(0, lane)) * kPrime1 + kPrime4; }

// All stripes of four words.
uint64_t sum_of_stripes(std::span<const std::byte>& data, uint64_t seed) {
  std::array<uint64_t, 4> lanes = {seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1};
  constexpr size_t kStripe = lanes.size() * sizeof(uint64_t);
  while (data.size() >= kStripe)
    for (uint64_t& lane : lanes) lane = round(lane, take<uint64_t>(data));
  uint64_t sum = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
                 std::rotl(lanes[3], 18);
  for (uint64_t lane : lanes) sum = merge(sum, lane);
  return sum;
}

}  // namespace

uint64_t xxh64(std::span<const std::byte> data, uint64_t seed) {
  static_assert(std::endian::native == std::endian::little, "words are read as they lie");
  uint64_t length = data.size();
  uint64_t sum = (length >= 32 ? sum_of_stripes(data, seed) : seed + kPrime5) + length;
  while (data.size() >= 8)
    sum = std::rotl(sum ^ round(0, take<uint64_t>(data)), 27) * kPrime1 + kPrime4;
  if (data.size() >= 4)
    sum = std::rotl(sum ^ take<uint32_t>(data) * kPrime1, 23) * kPrime2 + kPrime3;
  while (!data.empty()) sum = std::rotl(sum ^ take<uint8_t>(data) * kPrime5, 11) * kPrime1;
  sum = (sum ^ sum >> 33) * kPrime2;
  sum = (sum ^ sum >> 29) * kPrime3;
  return sum ^ sum >> 32;
}

}  // namespace ll
