#include "base/hash/sha256_instructions.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace ll {

namespace {

__m128i load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

// The instructions keep the state as the words (a b e f) and (c d g h), high to low.
[[gnu::target("sha,sse4.1")]] void compress_blocks(std::array<uint32_t, 8>& state,
                                                   const std::byte* blocks, size_t num_blocks) {
  __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i badc = _mm_shuffle_epi32(load(&state[0]), 0xb1);
  __m128i hgfe = _mm_shuffle_epi32(load(&state[4]), 0x1b);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
  for (size_t i = 0; i < num_blocks; ++i) {
    __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (size_t j = 0; j < 4; ++j) w[j] = _mm_shuffle_epi8(load(blocks + 64 * i + 16 * j), swap);
    for (size_t g = 0; g < 16; ++g) {  // four rounds each
      __m128i& words = w[g % 4];
      __m128i keyed = _mm_add_epi32(words, load(&kSha256Round[4 * g]));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0e));
      __m128i last = w[(g + 3) % 4], before = w[(g + 2) % 4], next = w[(g + 1) % 4];
      __m128i sum =
          _mm_add_epi32(_mm_sha256msg1_epu32(words, next), _mm_alignr_epi8(last, before, 4));
      words = _mm_sha256msg2_epu32(sum, last);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace

Sha256Compress sha256_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  bool sse41 = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1);
  bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
  return sse41 && sha ? compress_blocks : nullptr;
}

}  // namespace ll

#else

namespace ll {

Sha256Compress sha256_instructions() { return nullptr; }

}  // namespace ll

#endif
