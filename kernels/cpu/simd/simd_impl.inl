// Included by each simd_<isa>.cpp after LL_SIMD_ISA (a namespace) and LL_SIMD_LANES (floats in a
// register) are defined. GCC and clang vector extensions; see simd.h for the contracts.
#include <cstring>
#include <utility>

#include "kernels/cpu/simd/simd.h"

#ifndef LL_SIMD_NARROW  // a file with better instructions names its own
#define LL_SIMD_NARROW(x) narrow_portable(x)
#endif
#ifndef LL_SIMD_RECIPROCAL
#define LL_SIMD_RECIPROCAL(x) (splat(1.0f) / (x))
#endif

namespace ll::cpu::LL_SIMD_ISA {
namespace {

constexpr int kLanes = LL_SIMD_LANES;
typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t VecI __attribute__((vector_size(kLanes * 4)));
typedef uint32_t VecU __attribute__((vector_size(kLanes * 4)));
typedef uint16_t VecH __attribute__((vector_size(kLanes * 2)));

template <class V, class T>
inline V load(const T* p) {
  static_assert(sizeof(V) == kLanes * sizeof(T));
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T>
inline void store(T* p, V v) {
  static_assert(sizeof(V) == kLanes * sizeof(T));
  std::memcpy(p, &v, sizeof v);
}
inline Vec splat(float x) { return Vec{} + x; }

// Not dtype.h's: no inline function that files built for other machines share may come from here.
inline float float_of(bf16 x) {
  uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline Vec max_of(Vec a, Vec b) { return a > b ? a : b; }

// Halves are added until one lane is left: the same tree for every length.
inline float sum_lanes(Vec v) {
  float lane[kLanes];
  store(lane, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

inline float max_lanes(Vec v) {
  float lane[kLanes];
  store(lane, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}

// -inf from lane n on.
inline Vec first_lanes(Vec v, int64_t n) {
  VecI lane{};
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < static_cast<int32_t>(n) ? v : splat(-__builtin_inff());
}

// The last n % kLanes elements go through a zero-padded register.
template <class T, class V>
inline V load_tail(const T* p, int64_t n, T pad) {
  T lane[kLanes];
  for (int i = 0; i < kLanes; ++i) lane[i] = i < n ? p[i] : pad;
  return load<V>(lane);
}
template <class T, class V>
inline void store_tail(T* p, V v, int64_t n) {
  T lane[kLanes];
  store(lane, v);
  for (int64_t i = 0; i < n; ++i) p[i] = lane[i];
}

// exp(x) = 2^n p(r), x = n ln 2 + r: Cephes' polynomial, relative error under 2e-7; 0 below -87.
inline Vec exp_of(Vec x) {
  Vec lowest = splat(-87.0f), highest = splat(88.0f);
  Vec t = x > lowest ? x : lowest;
  t = t < highest ? t : highest;
  Vec shifted =
      t * splat(1.44269504088896341f) + splat(12582912.0f);  // 1.5 * 2^23 rounds to integer
  Vec n = shifted - splat(12582912.0f);
  Vec r = t - n * splat(0.693359375f);
  r = r - n * splat(-2.12194440e-4f);
  Vec p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * r * r + r + splat(1.0f);
  VecI exponent = (VecI)shifted << 23;
  Vec result = (Vec)((VecI)p + exponent);
  return x > lowest ? result : Vec{};
}

inline Vec widen_vec(VecH h) { return (Vec)(__builtin_convertvector(h, VecU) << 16); }
[[maybe_unused]] inline VecH narrow_portable(Vec v) {  // to nearest even; NaN stays NaN
  VecU u = (VecU)v;
  VecU rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  VecU nan = (u >> 16) | 0x40u;
  VecU result = (u & 0x7fffffffu) > 0x7f800000u ? nan : rounded;
  return __builtin_convertvector(result, VecH);
}
inline VecH narrow_vec(Vec v) { return LL_SIMD_NARROW(v); }

template <int kRows>
void gemm_f32_rows(const float* x, int64_t ldx, const float* panel, int64_t panel_stride,
                   int64_t depth, float* y, int64_t ldy) {
  constexpr int kUnroll = kLanes >= 16 ? 4 : 2;  // registers across
  for (int c = 0; c < kPanelCols; c += kUnroll * kLanes) {
    Vec sum[kRows][kUnroll] = {};
    for (int64_t k = 0; k < depth; ++k) {
      Vec w[kUnroll];
      for (int u = 0; u < kUnroll; ++u) w[u] = load<Vec>(panel + k * panel_stride + c + u * kLanes);
      for (int m = 0; m < kRows; ++m)
        for (int u = 0; u < kUnroll; ++u) sum[m][u] += splat(x[m * ldx + k]) * w[u];
    }
    for (int m = 0; m < kRows; ++m)
      for (int u = 0; u < kUnroll; ++u) store(y + m * ldy + c + u * kLanes, sum[m][u]);
  }
}

template <int kRows>
void gemm_bf16_rows(const Bf16Product& p, const bf16* x, float* y) {
  constexpr int kUnroll = 2;
  for (int c = 0; c < kPanelCols; c += kUnroll * kLanes) {
    Vec sum[kRows][kUnroll] = {};
    if (p.add)
      for (int m = 0; m < kRows; ++m)
        for (int u = 0; u < kUnroll; ++u) sum[m][u] = load<Vec>(y + m * p.ldy + c + u * kLanes);
    for (int64_t k = 0; k < p.depth; k += 2) {
      Vec even[kUnroll], odd[kUnroll];
      for (int u = 0; u < kUnroll; ++u) {
        VecU pair;
        std::memcpy(&pair, p.panel + k / 2 * p.stride + (c + u * kLanes) * 2, sizeof pair);
        even[u] = (Vec)(pair << 16);
        odd[u] = (Vec)(pair & 0xffff0000u);
      }
      for (int m = 0; m < kRows; ++m) {
        Vec x0 = splat(float_of(x[m * p.ldx + k])), x1 = splat(float_of(x[m * p.ldx + k + 1]));
        for (int u = 0; u < kUnroll; ++u) sum[m][u] = sum[m][u] + x0 * even[u] + x1 * odd[u];
      }
    }
    for (int m = 0; m < kRows; ++m)
      for (int u = 0; u < kUnroll; ++u) store(y + m * p.ldy + c + u * kLanes, sum[m][u]);
  }
}

// Calls f.template operator()<rows>() with `rows` (1 to kRows) as a constant.
template <int kRows, class F>
inline void with_rows(int64_t rows, F&& f) {
  if (rows == kRows)
    f.template operator()<kRows>();
  else if constexpr (kRows > 1)
    with_rows<kRows - 1>(rows, f);
}

// Four rows at a time: their sums stay in registers.
void gemm_f32(const float* x, int64_t ldx, const float* panel, int64_t panel_stride, int64_t k,
              int64_t rows, float* y, int64_t ldy) {
  for (int64_t m = 0; m < rows; m += 4)
    with_rows<4>(rows - m < 4 ? rows - m : 4, [&]<int kRows>() {
      gemm_f32_rows<kRows>(x + m * ldx, ldx, panel, panel_stride, k, y + m * ldy, ldy);
    });
}

[[maybe_unused]] void gemm_bf16_portable(const Bf16Product& p) {
  for (int64_t m = 0; m < p.rows; m += 4)
    with_rows<4>(p.rows - m < 4 ? p.rows - m : 4,
                 [&]<int kRows>() { gemm_bf16_rows<kRows>(p, p.x + m * p.ldx, p.y + m * p.ldy); });
}

float max(const float* x, int64_t n) {
  float none = -__builtin_inff();
  Vec best = splat(none);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) best = max_of(load<Vec>(x + i), best);
  if (i < n) best = max_of(load_tail<float, Vec>(x + i, n - i, none), best);
  return max_lanes(best);
}

float exp_sum(float* x, int64_t n, float shift) {
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Vec e = exp_of(load<Vec>(x + i) - splat(shift));
    store(x + i, e);
    sum += e;
  }
  if (i < n) {
    Vec e = exp_of(load_tail<float, Vec>(x + i, n - i, -__builtin_inff()) - splat(shift));
    store_tail(x + i, e, n - i);
    sum += e;
  }
  return sum_lanes(sum);
}

inline void store_weights(float* p, Vec v) { store(p, v); }
inline void store_weights(bf16* p, Vec v) { store(reinterpret_cast<uint16_t*>(p), narrow_vec(v)); }

template <class T>
float softmax_step(T* weights, const float* scores, int64_t n, int64_t width, float scale,
                   float* running_max, float* running_sum) {
  Vec best = splat(-__builtin_inff()), sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) best = max_of(load<Vec>(scores + i), best);
  if (i < n) best = max_of(first_lanes(load<Vec>(scores + i), n - i), best);
  float highest = max_lanes(best) * scale;
  highest = *running_max > highest ? *running_max : highest;
  for (i = 0; i < n; i += kLanes) {
    Vec score = load<Vec>(scores + i);
    if (n - i < kLanes) score = first_lanes(score, n - i);
    Vec e = exp_of(score * splat(scale) - splat(highest));
    store_weights(weights + i, e);
    sum += e;
  }
  for (; i < width; i += kLanes) store_weights(weights + i, Vec{});
  float correction[kLanes];
  store(correction, exp_of(splat(*running_max) - splat(highest)));
  *running_sum = *running_sum * correction[0] + sum_lanes(sum);
  *running_max = highest;
  return correction[0];
}

float sum_exp(const float* x, int64_t n, float shift, float scale) {
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    sum += exp_of((load<Vec>(x + i) - splat(shift)) * splat(scale));
  if (i < n)
    sum += exp_of((load_tail<float, Vec>(x + i, n - i, -__builtin_inff()) - splat(shift)) *
                  splat(scale));
  return sum_lanes(sum);
}

void scale_add(float* y, const float* x, float scale, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, load<Vec>(y + i) * splat(scale) + load<Vec>(x + i));
  for (; i < n; ++i) y[i] = y[i] * scale + x[i];
}

float dot(const float* a, const float* b, int64_t n) {
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += load<Vec>(a + i) * load<Vec>(b + i);
  if (i < n) sum += load_tail<float, Vec>(a + i, n - i, 0) * load_tail<float, Vec>(b + i, n - i, 0);
  return sum_lanes(sum);
}

float dot_bf16(const float* a, const bf16* b, int64_t n) {
  const auto* bits = reinterpret_cast<const uint16_t*>(b);
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += load<Vec>(a + i) * widen_vec(load<VecH>(bits + i));
  if (i < n)
    sum += load_tail<float, Vec>(a + i, n - i, 0) *
           widen_vec(load_tail<uint16_t, VecH>(bits + i, n - i, 0));
  return sum_lanes(sum);
}

void axpy_bf16(float* y, const bf16* x, float a, int64_t n) {
  const auto* bits = reinterpret_cast<const uint16_t*>(x);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, load<Vec>(y + i) + splat(a) * widen_vec(load<VecH>(bits + i)));
  for (; i < n; ++i) y[i] += a * float_of(x[i]);
}

void widen(float* y, const bf16* x, int64_t n) {
  const auto* bits = reinterpret_cast<const uint16_t*>(x);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, widen_vec(load<VecH>(bits + i)));
  if (i < n) store_tail(y + i, widen_vec(load_tail<uint16_t, VecH>(bits + i, n - i, 0)), n - i);
}

void narrow(bf16* y, const float* x, int64_t n) {
  auto* bits = reinterpret_cast<uint16_t*>(y);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(bits + i, narrow_vec(load<Vec>(x + i)));
  if (i < n) store_tail(bits + i, narrow_vec(load_tail<float, Vec>(x + i, n - i, 0)), n - i);
}

void narrow_rows(bf16* y, int64_t ldy, const float* x, int64_t ldx, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) narrow(y + r * ldy, x + r * ldx, n);
}

template <size_t... kLane>
inline void deal(Vec a, Vec b, Vec& even, Vec& odd, std::index_sequence<kLane...>) {
  even = __builtin_shufflevector(a, b, (2 * kLane)...);
  odd = __builtin_shufflevector(a, b, (2 * kLane + 1)...);
}

void silu_and_mul(float* y, const float* x, int64_t n) {
  auto act = [](Vec a, Vec b) {
    Vec gate, up;
    deal(a, b, gate, up, std::make_index_sequence<kLanes>());
    return gate * LL_SIMD_RECIPROCAL(splat(1.0f) + exp_of(-gate)) * up;
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, act(load<Vec>(x + 2 * i), load<Vec>(x + 2 * i + kLanes)));
  if (i == n) return;
  float pairs[2 * kLanes] = {};
  std::memcpy(pairs, x + 2 * i, static_cast<size_t>(n - i) * 2 * sizeof(float));
  store_tail(y + i, act(load<Vec>(pairs), load<Vec>(pairs + kLanes)), n - i);
}

// A pair of bfloat16 lies in one 32-bit lane: gate below, up above.
void silu_and_mul_bf16(bf16* y, const bf16* x, int64_t n) {
  auto* bits = reinterpret_cast<uint16_t*>(y);
  const auto* pairs = reinterpret_cast<const uint16_t*>(x);
  auto act = [](VecU pair) {
    Vec gate = (Vec)(pair << 16), up = (Vec)(pair & 0xffff0000u);
    return narrow_vec(gate * LL_SIMD_RECIPROCAL(splat(1.0f) + exp_of(-gate)) * up);
  };
  int64_t i = 0;
  VecU pair{};
  for (; i + kLanes <= n; i += kLanes) {
    std::memcpy(&pair, pairs + 2 * i, sizeof pair);
    store(bits + i, act(pair));
  }
  if (i == n) return;
  pair = VecU{};
  std::memcpy(&pair, pairs + 2 * i, static_cast<size_t>(n - i) * 4);
  store_tail(bits + i, act(pair), n - i);
}

}  // namespace

#ifndef LL_SIMD_GEMM_BF16
#define LL_SIMD_GEMM_BF16 gemm_bf16_portable
#endif
#ifndef LL_SIMD_HAS_TILES
#define LL_SIMD_HAS_TILES false
#endif
const Simd kSimd{.name = LL_SIMD_NAME,
                 .has_tiles = LL_SIMD_HAS_TILES,
                 .gemm_f32 = gemm_f32,
                 .gemm_bf16 = LL_SIMD_GEMM_BF16,
                 .softmax_step_f32 = softmax_step<float>,
                 .softmax_step_bf16 = softmax_step<bf16>,
                 .max = max,
                 .exp_sum = exp_sum,
                 .sum_exp = sum_exp,
                 .scale_add = scale_add,
                 .dot = dot,
                 .dot_bf16 = dot_bf16,
                 .axpy_bf16 = axpy_bf16,
                 .widen = widen,
                 .narrow = narrow,
                 .narrow_rows = narrow_rows,
                 .silu_and_mul = silu_and_mul,
                 .silu_and_mul_bf16 = silu_and_mul_bf16};

}  // namespace ll::cpu::LL_SIMD_ISA
