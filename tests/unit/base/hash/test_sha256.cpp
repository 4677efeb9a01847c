#include <doctest/doctest.h>

#include <random>

#include "base/hash/sha256.h"
#include "base/hash/sha256_instructions.h"

using namespace ll;

TEST_CASE("sha256: the examples of FIPS 180-4 and NIST") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256: the same however the message is cut") {
  std::mt19937 random(1);
  for (size_t length = 0; length < 300; length += 7) {
    std::string text(length, '\0');
    for (char& c : text) c = static_cast<char>(random());
    Sha256 hash;
    auto rest = std::as_bytes(std::span(text));
    while (!rest.empty()) {
      size_t n = std::min<size_t>(rest.size(), random() % 100);
      hash.update(rest.first(n));
      rest = rest.subspan(n);
    }
    CHECK(hash.hex() == sha256_hex(text));
  }
}

TEST_CASE("sha256: the processor's instructions mix blocks as plain C++ does") {
  Sha256Compress instructions = sha256_instructions();
  if (!instructions) return;
  std::mt19937 random(2);
  std::array<uint32_t, 8> a{};
  for (uint32_t& word : a) word = random();
  std::array<uint32_t, 8> b = a;
  std::vector<std::byte> blocks(64 * 5);
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
  for (size_t n : {0, 1, 2, 5}) {
    instructions(a, blocks.data(), n);
    sha256_portable(b, blocks.data(), n);
    CHECK(a == b);
  }
}
