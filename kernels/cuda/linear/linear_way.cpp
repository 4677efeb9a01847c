#include "kernels/cuda/linear/linear_way.h"

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {
namespace {

constexpr int kLibraryCandidates = 8;

// Our own, likely winners first.
struct FamilyKernels {
  KernelFamily family;
  std::span<const LinearKernel> (&kernels)();
};
constexpr FamilyKernels kFamilyKernels[] = {{KernelFamily::kSm90, stream_kernels},
                                            {KernelFamily::kSm90, tile_kernels},
                                            {KernelFamily::kSm90, gate_kernels},
                                            {KernelFamily::kSm90, block_kernels},
                                            {KernelFamily::kSm80, direct_kernels}};

// The half of the scratch memory that SiLU-and-mul does not take.
char* spare_memory(Stream stream) {
  return static_cast<char*>(workspace_of(stream).scratch.data) + Workspace::kScratchBytes / 2;
}

// False when the library refuses. Our own kernels end with RoPE themselves.
bool run_bare(Stream stream, const LinearArgs& a, const LinearWay& way) {
  if (way.kernel) {
    bool is_early = way.is_early && way.kernel->early;
    (is_early ? way.kernel->early : way.kernel)->run(stream, a);
    return true;
  }
  if (!run_library(stream, a, way.algorithm)) return false;
  if (const RopeAndStoreArgs* rope = a.ending.rope()) rope_and_store_kv(stream, *rope);
  return true;
}

}  // namespace

std::vector<std::span<const LinearKernel>> served_kernels() {
  std::vector<std::span<const LinearKernel>> served;
  for (const FamilyKernels& f : kFamilyKernels)
    if (serves(f.family)) served.push_back(f.kernels());
  return served;
}

std::vector<LinearWay> linear_ways(const LinearArgs& a) {
  std::vector<LinearWay> ways;
  auto add = [&](const LinearKernel& k) {
    if (k.takes(a)) ways.push_back({k.name, &k, {}});
  };
  for (std::span<const LinearKernel> kernels : served_kernels())
    for (const LinearKernel& k : kernels) add(k);
  if (library_takes(a)) {
    int number = 0;
    for (const LibraryAlgorithm& algorithm : library_algorithms(a, kLibraryCandidates))
      ways.push_back({fmt::format("library{}", number++), nullptr, algorithm});
  }
  if (ways.empty()) add(plain_kernel());
  return ways;
}

bool does(const LinearWay& way, const LinearArgs& a) {
  return way.kernel ? way.kernel->takes(a) : library_takes(a) && library_accepts(a, way.algorithm);
}

// Scales before and norms afterwards where the way does not do them.
bool run_way(Stream stream, const LinearArgs& a, const LinearWay& way) {
  bool does_norms = way.kernel && way.kernel->does_norms;
  const AddRmsNormArgs* after = a.ending.norm();
  if (does_norms || (!a.x_squares && !after)) return run_bare(stream, a, way);
  LinearArgs bare = a;
  bare.x_squares = nullptr;
  if (after) bare.ending = Ending();
  if (a.x_squares) {
    bare.x.data = spare_memory(stream);
    scale_rows(stream, bare.x, a.x, *a.x_squares);
  }
  if (!run_bare(stream, bare, way)) return false;
  if (!after) return true;
  AddRmsNormArgs norm = *after;
  norm.delta = a.out;
  add_rms_norm(stream, norm);
  return true;
}

LinearArgs without_effects(Stream stream, LinearArgs a, AddRmsNormArgs& norm) {
  if (!a.ending.norm()) return a;
  norm = *a.ending.norm();
  char* spare = spare_memory(stream) + Workspace::kScratchBytes / 4;  // behind scaled rows
  norm.residual.data = spare;
  norm.row_squares = reinterpret_cast<uint64_t*>(spare + Workspace::kScratchBytes / 8);
  a.ending = Ending::add_rms_norm(norm);
  return a;
}

}  // namespace ll::cuda
