#include "kernels/cpu/onednn_matmul.h"

#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <optional>
#include <tuple>

#include "kernels/cpu/panels.h"

namespace ll::cpu {
namespace {

using dnnl::memory;

struct Product {
  dnnl::matmul primitive;
  memory::desc x, weight, bias, out;
};

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// The panels are oneDNN's BA16a64b2a with N padded to 64 and K to 32; extents below are the true
// ones.
std::optional<Product> make_product(int64_t m, int64_t n, int64_t k, bool float_out, bool bias) {
  using Tag = memory::format_tag;
  auto bf16_type = memory::data_type::bf16;
  Product p;
  p.x = memory::desc({m, k}, bf16_type, Tag::ab);
  p.weight = memory::desc({k, n}, bf16_type, Tag::BA16a64b2a);
  p.out = memory::desc({m, n}, float_out ? memory::data_type::f32 : bf16_type, Tag::ab);
  if (bias) p.bias = memory::desc({1, n}, bf16_type, Tag::ab);
  try {
    auto desc = bias ? dnnl::matmul::desc(p.x, p.weight, p.bias, p.out)
                     : dnnl::matmul::desc(p.x, p.weight, p.out);
    dnnl::matmul::primitive_desc chosen(desc, engine());
    if (std::strncmp(chosen.impl_info_str(), "brg", 3) != 0) return std::nullopt;
    p.primitive = dnnl::matmul(chosen);
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
  return p;
}

}  // namespace

bool onednn_matmul(TensorView out, TensorView x, const Weight& weight, const TensorView& bias) {
  static std::map<std::tuple<int64_t, int64_t, int64_t, bool, bool>, std::optional<Product>> cache;
  int64_t m = x.dim(0), n = weight.rows, k = weight.cols;
  bool float_out = out.dtype == DType::f32, has_bias = !bias.empty();
  auto key = std::tuple(m, n, k, float_out, has_bias);
  auto found = cache.find(key);
  if (found == cache.end())
    found = cache.emplace(key, make_product(m, n, k, float_out, has_bias)).first;
  if (!found->second) return false;
  const Product& p = *found->second;
  memory mx(p.x, engine(), x.data), mw(p.weight, engine(), weight.data.data),
      mo(p.out, engine(), out.data);
  std::unordered_map<int, memory> args{
      {DNNL_ARG_SRC, mx}, {DNNL_ARG_WEIGHTS, mw}, {DNNL_ARG_DST, mo}};
  if (has_bias) args.emplace(DNNL_ARG_BIAS, memory(p.bias, engine(), bias.data));
  static dnnl::stream stream(engine());
  p.primitive.execute(stream, args);
  stream.wait();
  return true;
}

VersionRow onednn_version() {
  const dnnl_version_t* here = dnnl_version();
  return {"oneDNN",
          fmt::format("{}.{}.{}", DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH),
          fmt::format("{}.{}.{}", here->major, here->minor, here->patch)};
}

}  // namespace ll::cpu
