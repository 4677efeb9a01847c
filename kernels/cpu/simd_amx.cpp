// As avx512_bf16, with AMX tiles for products of several rows.
#define LL_SIMD_ISA amx
#define LL_SIMD_NAME "amx"
#define LL_SIMD_LANES 16
#define LL_SIMD_GEMM_BF16 gemm_amx
#define LL_SIMD_HAS_BF16_DOT true
#include "kernels/cpu/gemm_vdpbf16.inl"

namespace ll::cpu::amx {
namespace {

// Palette 1: how many rows and bytes a row each of the eight tiles has.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

constexpr int64_t kTileRows = 16, kTileDepth = 32, kFewRows = 4;

// Tiles 0 to 3 sum 16 rows by 64 columns, 4 holds rows of x, 5 and 6 columns of the panel: 16 pairs
// by 16 columns, as they lie.
void configure(int64_t rows) {
  TileConfig config;
  for (int t = 0; t < 7; ++t) {
    config.bytes_per_row[t] = 64;
    config.rows[t] = static_cast<uint8_t>(t < 5 ? rows : 16);
  }
  _tile_loadconfig(&config);
}

void multiply_tile(const bf16* x, int64_t ldx, const bf16* panel, int64_t stride, int64_t depth,
                   float* y, int64_t ldy) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t k = 0; k < depth; k += kTileDepth) {
    const bf16* w = panel + k / 2 * stride;
    _tile_loadd(4, x + k, ldx * 2);
    _tile_loadd(5, w, stride * 2);
    _tile_loadd(6, w + 32, stride * 2);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(5, w + 64, stride * 2);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(6, w + 96, stride * 2);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 6);
  }
  _tile_stored(0, y, ldy * 4);
  _tile_stored(1, y + 16, ldy * 4);
  _tile_stored(2, y + 32, ldy * 4);
  _tile_stored(3, y + 48, ldy * 4);
}

void gemm_amx(const bf16* x, int64_t ldx, const bf16* panel, int64_t stride, int64_t k,
              int64_t rows, float* y, int64_t ldy) {
  if (rows < kFewRows || k % kTileDepth != 0)
    return gemm_vdpbf16(x, ldx, panel, stride, k, rows, y, ldy);
  int64_t configured = 0;
  for (int64_t m = 0; m < rows; m += kTileRows) {
    int64_t count = rows - m < kTileRows ? rows - m : kTileRows;
    if (count != configured) configure(configured = count);
    multiply_tile(x + m * ldx, ldx, panel, stride, k, y + m * ldy, ldy);
  }
  _tile_release();
}

}  // namespace
}  // namespace ll::cpu::amx

#include "kernels/cpu/simd_impl.inl"
