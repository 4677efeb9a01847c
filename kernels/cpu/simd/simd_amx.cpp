// As avx512_bf16, with AMX tiles for products of several rows.
#define LL_SIMD_ISA amx
#define LL_SIMD_NAME "amx"
#define LL_SIMD_LANES 16
#define LL_SIMD_GEMM_BF16 gemm_amx
#define LL_SIMD_HAS_TILES true
#define LL_SIMD_NARROW(x) (VecH) narrow_avx512_bf16((__m512)(x))
#define LL_SIMD_RECIPROCAL(x) (Vec) reciprocal_avx512((__m512)(x))
#include <array>
#include <utility>

#include "kernels/cpu/simd/avx512_math.inl"
#include "kernels/cpu/simd/gemm_vdpbf16.inl"

namespace ll::cpu::amx {
namespace {

// Palette 1: how many rows and bytes a row each of the eight tiles has.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

constexpr int kTileRows = 16, kTileDepth = 32, kFewRows = 4;

// Tiles 0 and 1 are sums and 4 is x of the upper rows, 2, 3 and 5 of the lower ones (16 rows or
// fewer: of the same rows); 6 and 7 are columns of the panel: 16 pairs by 16 columns, as they lie.
constexpr TileConfig config_of(int rows) {
  TileConfig config;
  int upper = rows < kTileRows ? rows : kTileRows,
      lower = rows > kTileRows ? rows - kTileRows : rows;
  for (int t = 0; t < 8; ++t) config.bytes_per_row[t] = 64;
  for (int t : {0, 1, 4}) config.rows[t] = static_cast<uint8_t>(upper);
  for (int t : {2, 3, 5}) config.rows[t] = static_cast<uint8_t>(lower);
  for (int t : {6, 7}) config.rows[t] = 16;
  return config;
}

// Constants, for the compiler believes that loading one reads eight bytes of it.
template <size_t... kRow>
constexpr std::array<TileConfig, sizeof...(kRow)> configs_of(std::index_sequence<kRow...>) {
  return {config_of(static_cast<int>(kRow) + 1)...};
}
constexpr auto kConfigs = configs_of(std::make_index_sequence<2 * kTileRows>());  // [rows - 1]

// The panel needed next, fetched a few lines at a time.
struct Fetch {
  const char* line;
  int64_t lines_a_step;

  void step() {
    for (int64_t i = 0; i < lines_a_step; ++i, line += 64) _mm_prefetch(line, _MM_HINT_T1);
  }
};

Fetch fetch_next(const Bf16Product& p) {
  int64_t passes = (p.rows + 2 * kTileRows - 1) / (2 * kTileRows);
  return {reinterpret_cast<const char*>(p.next), p.next ? (kTileDepth + passes - 1) / passes : 0};
}

// Tiles 0 and 1 side by side, 2 and 3 `below` or further to the right.
void begin_sums(const float* y, const float* below, int64_t ldy, bool add) {
  if (add) {
    _tile_loadd(0, y, ldy * 4);
    _tile_loadd(1, y + 16, ldy * 4);
    _tile_loadd(2, below, ldy * 4);
    _tile_loadd(3, below + 16, ldy * 4);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
}
void end_sums(float* y, float* below, int64_t ldy) {
  _tile_stored(0, y, ldy * 4);
  _tile_stored(1, y + 16, ldy * 4);
  _tile_stored(2, below, ldy * 4);
  _tile_stored(3, below + 16, ldy * 4);
}

// 17 to 32 rows by 32 columns: each tile that is loaded is used twice.
void multiply_square(const Bf16Product& p, const bf16* x, const bf16* panel, float* y,
                     Fetch& fetch) {
  const bf16* below = x + kTileRows * p.ldx;
  begin_sums(y, y + kTileRows * p.ldy, p.ldy, p.add);
  for (int64_t k = 0; k < p.depth; k += kTileDepth) {
    const bf16* w = panel + k / 2 * p.stride;
    _tile_loadd(4, x + k, p.ldx * 2);
    _tile_loadd(6, w, p.stride * 2);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, w + 32, p.stride * 2);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, below + k, p.ldx * 2);
    fetch.step();
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  end_sums(y, y + kTileRows * p.ldy, p.ldy);
}

// Up to 16 rows by 64 columns: one pass over the panel.
void multiply_few_rows(const Bf16Product& p, const bf16* x, float* y) {
  begin_sums(y, y + 32, p.ldy, p.add);
  for (int64_t k = 0; k < p.depth; k += kTileDepth) {
    const bf16* w = p.panel + k / 2 * p.stride;
    _tile_loadd(4, x + k, p.ldx * 2);
    _tile_loadd(6, w, p.stride * 2);
    _tile_loadd(7, w + 32, p.stride * 2);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(6, w + 64, p.stride * 2);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(7, w + 96, p.stride * 2);
    _tile_dpbf16ps(2, 4, 6);
    _tile_dpbf16ps(3, 4, 7);
  }
  end_sums(y, y + 32, p.ldy);
}

void gemm_amx(const Bf16Product& p) {
  if (p.rows < kFewRows || p.depth % kTileDepth != 0) return gemm_vdpbf16(p);
  Fetch fetch = fetch_next(p);
  int64_t configured = 0;
  for (int64_t m = 0; m < p.rows; m += 2 * kTileRows) {
    int64_t count = p.rows - m < 2 * kTileRows ? p.rows - m : 2 * kTileRows;
    if (count != configured)
      _tile_loadconfig(&kConfigs[static_cast<size_t>(configured = count) - 1]);
    const bf16* x = p.x + m * p.ldx;
    float* y = p.y + m * p.ldy;
    if (count <= kTileRows) {
      multiply_few_rows(p, x, y);
    } else {
      multiply_square(p, x, p.panel, y, fetch);
      multiply_square(p, x, p.panel + 2 * 32, y + 32, fetch);
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace ll::cpu::amx

#include "kernels/cpu/simd/simd_impl.inl"
