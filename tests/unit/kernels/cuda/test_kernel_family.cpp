#include "kernels/cuda/device/kernel_family.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::cuda;

namespace {

constexpr std::array kBoth{KernelFamily::kSm90, KernelFamily::kSm80};
constexpr std::array kPortable{KernelFamily::kSm80};
constexpr std::array kHopper{KernelFamily::kSm90};

}  // namespace

TEST_CASE("kernel families: which one serves a GPU") {
  for (ComputeCapability gpu : {ComputeCapability{8, 0}, {8, 6}, {8, 9}, {10, 0}, {12, 0}, {13, 1}})
    CHECK(family_for(gpu, kBoth) == KernelFamily::kSm80);
  CHECK(family_for({9, 0}, kBoth) == KernelFamily::kSm90);
  CHECK(family_for({9, 0}, kPortable) == KernelFamily::kSm80);
  CHECK(family_for({7, 5}, kBoth) == std::nullopt);
  CHECK(family_for({8, 0}, kHopper) == std::nullopt);
  CHECK(family_for({10, 0}, kHopper) == std::nullopt);
  CHECK(family_for({9, 0}, {}) == std::nullopt);
}

TEST_CASE("kernel families: the environment can ask for the portable one") {
  CHECK(choose_family("", "H200", {9, 0}, kBoth) == KernelFamily::kSm90);
  CHECK(choose_family("sm80", "H200", {9, 0}, kBoth) == KernelFamily::kSm80);
  CHECK(choose_family("sm90", "H200", {9, 0}, kBoth) == KernelFamily::kSm90);
  CHECK(choose_family("sm80", "A100", {8, 0}, kBoth) == KernelFamily::kSm80);
}

TEST_CASE("kernel families: what is refused names GPU, family and need") {
  auto message = [](auto&&... args) { return test::error_of([&] { choose_family(args...); }); };
  CHECK(
      message("", "Tesla T4", ComputeCapability{7, 5}, kBoth) ==
      "Tesla T4: compute capability 7.5, but the kernels of this build need compute capability 8.0 "
      "(Ampere) or later");
  CHECK(message("", "A100", ComputeCapability{8, 0}, kHopper) ==
        "A100: compute capability 8.0, but the kernels of this build need compute capability 9.0 "
        "(Hopper)");
  CHECK(message("sm90", "A100", ComputeCapability{8, 0}, kBoth) ==
        "LITELANG_CUDA_FAMILY=sm90: A100 has compute capability 8.0, these kernels need 9.0 "
        "(Hopper)");
  CHECK(message("sm90", "H200", ComputeCapability{9, 0}, kPortable) ==
        "LITELANG_CUDA_FAMILY=sm90: this build has sm80; build with LITELANG_CUDA_ARCHS");
  CHECK(message("ampere", "A100", ComputeCapability{8, 0}, kBoth) ==
        "LITELANG_CUDA_FAMILY=ampere: must be one of sm90, sm80, or not set");
}
