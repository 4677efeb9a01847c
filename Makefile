# Thin targets over the presets of CMakePresets.json. `make demo` and `make test` install what is
# missing (Debian packages) and need nothing else. PRESET=release builds for GPUs, too, where nvcc is.
PRESET ?= cpu
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
BUILD = build/$(PRESET)
CONFIGURE = cmake --preset $(PRESET) --log-level=WARNING
MAKE_ALL = cmake --build --preset $(PRESET) -j $(JOBS)
# Tests of the label gpu need one.
TESTS = ctest --test-dir $(BUILD) -j $(JOBS) --output-on-failure $(if $(wildcard /dev/nvidia0),,-LE gpu)

help:
	@echo 'make demo        convert a small trained model and answer prompts with it on two ranks'
	@echo 'make test        build and run all tests (make test-mpi: those of several ranks)'
	@echo 'make build       build everything in build/$$PRESET; PRESET=release builds for GPUs, too'
	@echo 'make install     build the programs alone and install them to $$PREFIX (/usr/local)'
	@echo 'make bench       speed on this CPU, beside what the hardware allows'
	@echo 'make asan        unit tests under AddressSanitizer and UBSan; make fuzz: the fuzz targets'
	@echo 'make format tidy clang-format all sources; run clang-tidy'
	@echo 'make deps clean  install the Debian packages of the build; remove build/'

deps:
	@cmake/install_dependencies.sh build

build: deps
	$(CONFIGURE)
	$(MAKE_ALL)

demo: deps
	$(CONFIGURE)
	$(MAKE_ALL) --target litelang litelang-run litelang-convert
	@configs/demo.sh $(BUILD)

# For use, not for work on it: without tests, and without a warning that stops it.
install: deps
	cmake -S . -B build/install -G Ninja --log-level=WARNING -DBUILD_TESTING=OFF
	cmake --build build/install -j $(JOBS)
	cmake --install build/install --prefix $(PREFIX)

test: build
	$(TESTS)

test-mpi: build
	$(TESTS) -L mpi

bench: deps
	$(CONFIGURE)
	$(MAKE_ALL) --target bench_cpu_model bench_tokenizer bench_templates bench_answers bench_scheduler
	@perf/bench.sh $(BUILD)

asan: PRESET = asan
asan: build
	$(TESTS) -L unit

fuzz: PRESET = fuzz
fuzz: deps
	@cmake/install_dependencies.sh fuzz
	$(CONFIGURE)
	$(MAKE_ALL)
	tests/fuzz/run.sh $(BUILD) 30

format:
	@cmake/install_dependencies.sh format
	cmake/check_format.sh --fix

tidy: deps
	@cmake/install_dependencies.sh tidy
	$(CONFIGURE)
	cmake/check_tidy.sh $(BUILD)

clean:
	rm -rf build

.PHONY: help deps build install demo test test-mpi bench asan fuzz format tidy clean
