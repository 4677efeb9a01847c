#include "kernels/cuda/device/gpu_facts.h"

#include <doctest/doctest.h>

using namespace ll::cuda;

TEST_CASE("GPUs: slices are told from whole ones by name") {
  for (const char* whole : {"NVIDIA H200", "NVIDIA A100-SXM4-80GB", "NVIDIA GeForce RTX 4090",
                            "NVIDIA A10", "NVIDIA L40S", "NVIDIA H100 PCIe", "Q", ""})
    CHECK(std::string_view(slice_of(whole)).empty());
  for (const char* mig : {"NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA H200 MIG 1g.18gb"})
    CHECK(std::string_view(slice_of(mig)) == "a MIG slice");
  for (const char* vgpu : {"GRID A100-10C", "NVIDIA A40-48Q", "GRID V100D-8Q", "NVIDIA A16-4B"})
    CHECK(std::string_view(slice_of(vgpu)) == "a vGPU");
}

TEST_CASE("GPUs: a line says what a GPU is and what serves it") {
  GpuFacts gpu{.name = "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
               .uuid = "MIG-0",
               .capability = {7, 5},
               .num_sms = 42,
               .memory_bytes = size_t{20} << 30,
               .shared_bytes = 163 << 10,
               .driver_version = 12080,
               .runtime_version = 13000};
  std::string line = describe(gpu);
  CHECK(
      line.starts_with("NVIDIA A100-SXM4-40GB MIG 3g.20gb (a MIG slice), compute capability 7.5, "
                       "42 SMs, 20.0 GiB, 163 KiB of shared memory a block, driver for CUDA "
                       "12.8, runtime 13.0, not served: "));
}

TEST_CASE("GPUs: a rank has its own where it sees all, and the only one it sees") {
  CHECK(gpu_of(3, 8) == 3);
  CHECK(gpu_of(3, 1) == 0);
  CHECK(gpu_of(5, 4) == 1);
}
