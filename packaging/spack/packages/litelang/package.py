# For Spack from 1.0 on:  spack repo add packaging/spack && spack install litelang +cuda cuda_arch=90
# The sources are those of the repository that this recipe stands in.
from pathlib import Path

from spack_repo.builtin.build_systems.cmake import CMakePackage, generator
from spack_repo.builtin.build_systems.cuda import CudaPackage

from spack.package import *


class Litelang(CMakePackage, CudaPackage):
    """Batch inference of Qwen2 and Qwen2.5 as a plain MPI program, on CPUs and NVIDIA GPUs."""

    git = Path(__file__).resolve().parents[4].as_uri()

    license("Apache-2.0")

    version("main", branch="main")

    variant("onednn", default=True, description="CPU matrix products through oneDNN")

    generator("ninja")
    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("help2man", type="build")

    depends_on("mpi")
    depends_on("hdf5")
    depends_on("fmt@9")
    depends_on("yaml-cpp@0.7:")
    depends_on("nlohmann-json@3.11:")
    depends_on("cli11@2.1:")
    depends_on("boost@1.81:")
    depends_on("openssl@1.1.1:")
    depends_on("pcre2")
    depends_on("utf8proc@2.6:")
    depends_on("onednn@2.6:2 cpu_runtime=omp", when="+onednn")
    depends_on("cuda@12:", when="+cuda")
    depends_on("nccl", when="+cuda")
    depends_on("doctest", type="test")

    conflicts("%gcc@:11", msg="litelang is written in C++20")
    conflicts("cuda_arch=none", when="+cuda", msg="name the GPUs: cuda_arch=90 for H100 and H200, 80 for A100")

    def cmake_args(self):
        args = [
            self.define_from_variant("LITELANG_CUDA", "cuda"),
            self.define_from_variant("LITELANG_ONEDNN", "onednn"),
        ]
        if self.spec.satisfies("+cuda"):
            # Hopper's kernels use what only 9.0a has.
            archs = {"90": "90a"}
            names = [archs.get(name, name) for name in self.spec.variants["cuda_arch"].value]
            args.append(self.define("LITELANG_CUDA_ARCHS", ";".join(names)))
        return args
