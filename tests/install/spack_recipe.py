"""The Spack recipe names a package for everything that CMake looks for, and options that CMake has.

Spack itself is not needed: what a recipe uses of it is played here.
usage: spack_recipe.py REPOSITORY
"""
import re
import sys
import types
from pathlib import Path

root = Path(sys.argv[1])
packages, variants = {}, {}

# What CMake calls it, and Spack; None: it comes with the compiler.
SPACK_NAMES = {
    "Threads": None, "OpenMP": None, "MPI": "mpi", "HDF5": "hdf5", "fmt": "fmt", "yaml-cpp": "yaml-cpp",
    "nlohmann_json": "nlohmann-json", "doctest": "doctest", "CLI11": "cli11", "PkgConfig": "pkgconfig",
    "libpcre2-8": "pcre2", "libutf8proc": "utf8proc", "dnnl.hpp": "onednn", "boost/beast/http.hpp": "boost", "OpenSSL": "openssl", "CUDAToolkit": "cuda", "nccl.h": "nccl",
}


class Package:
    def define(self, name, value):
        return f"-D{name}={value}"

    def define_from_variant(self, name, variant):
        return self.define(name, "ON" if variants[variant] else "OFF")


class Spec:
    variants = {"cuda_arch": types.SimpleNamespace(value=("80", "90"))}

    def satisfies(self, text):
        return variants[text.lstrip("+")]


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def depends_on(spec, **where):
    packages[re.match("[a-z0-9-]+", spec).group()] = where


def load():
    ignored = dict.fromkeys(("license", "version", "conflicts"), lambda *a, **k: None)
    for name in ("spack_repo", "spack_repo.builtin", "spack_repo.builtin.build_systems", "spack"):
        module(name)
    module("spack_repo.builtin.build_systems.cmake", CMakePackage=Package, generator=lambda name: None)
    module("spack_repo.builtin.build_systems.cuda", CudaPackage=type("CudaPackage", (), {}))
    module("spack.package", **ignored, depends_on=depends_on,
           variant=lambda name, default, description: variants.__setitem__(name, default))
    path = root / "packaging/spack/packages/litelang/package.py"
    recipe = {"__file__": str(path), "__name__": "litelang"}
    exec(compile(path.read_text(), path, "exec"), recipe)
    return recipe["Litelang"]


def check(ok, message):
    if not ok:
        sys.exit(f"spack_recipe: {message}")


recipe = load()
check(recipe.git.endswith(root.resolve().name), f"git is {recipe.git}, not this repository")
cmake = (root / "cmake/dependencies.cmake").read_text()
wanted = re.findall(r"find_package\((\S+)", cmake) + re.findall(r"(lib\S+)\)", cmake)
wanted += re.findall(r"find_path\(\w+ (\S+\.h(?:pp)?)", cmake)
wanted = [name.rstrip(")") for name in wanted]
check(len(wanted) >= 14, f"CMake looks for fewer things than it should: {wanted}")
for name in wanted:
    check(name in SPACK_NAMES, f"{name} has no name in Spack: add it to the recipe and to SPACK_NAMES")
    check(SPACK_NAMES[name] in {None, *packages}, f"the recipe does not depend on {SPACK_NAMES[name]}")
for name in packages.keys() - {*SPACK_NAMES.values(), "c", "cxx", "cmake", "help2man"}:
    check(False, f"CMake does not look for {name}")

everything = "".join(path.read_text() for path in [root / "CMakeLists.txt", *(root / "cmake").glob("*.cmake")])
package = recipe()
package.spec = Spec()
for has_cuda in (False, True):
    variants["cuda"] = has_cuda
    args = package.cmake_args()
    check(f"-DLITELANG_CUDA={'ON' if has_cuda else 'OFF'}" in args, f"cuda {has_cuda}: {args}")
    check(("-DLITELANG_CUDA_ARCHS=80;90a" in args) == has_cuda, f"cuda {has_cuda}: {args}")
    for name in re.findall(r"-D(\w+)=", " ".join(args)):
        check(re.search(rf"(option|set)\({name} ", everything), f"CMake has no option {name}")
