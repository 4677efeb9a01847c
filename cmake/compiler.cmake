# Flags every target shares. Sanitizers come from the presets (LITELANG_SANITIZE=address|thread).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O3 -g1 -DNDEBUG")
# Whoever builds in order to use the programs has a compiler that was not tried: what it warns of stops nobody.
option(LITELANG_WERROR "Warnings are errors; the presets ask for it" OFF)
set(LITELANG_CUDA_WERROR "")
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra>
                    $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
if(LITELANG_WERROR)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  set(LITELANG_CUDA_WERROR ";-Werror=all-warnings")
endif()

# CMake 3.25 knows no C++20 for nvcc, so it is told; -lineinfo lets profilers name the line; fmt 9 believes nvcc has no constexpr.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
set(CMAKE_CUDA_FLAGS_RELWITHDEBINFO "-O3 -DNDEBUG")
add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-lineinfo;--expt-relaxed-constexpr;-DFMT_USE_CONSTEXPR=1;-Xcompiler=-Wall,-Wextra${LITELANG_CUDA_WERROR}>")

set(LITELANG_SANITIZE "" CACHE STRING "address or thread")
if(LITELANG_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 warns of std::regex and the like where sanitizers are compiled in (GCC bug 105562).
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
endif()
if(LITELANG_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  if(LITELANG_FUZZERS)
    add_compile_options(-fsanitize=fuzzer-no-link)
  endif()
elseif(LITELANG_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()

# litelang_library(NAME SRCS ... DEPS ...): one folder, one static library of the same name. The
# include root is the repository, so tests/include_direction.sh checks that no include goes left.
function(litelang_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE})
endfunction()
