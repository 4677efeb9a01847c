#include "tests/support/test_paths.h"

namespace ll::test {

std::string data_path(const std::string& path) { return repository_path("tests/data/" + path); }

std::string repository_path(const std::string& path) {
  return std::string(LITELANG_SOURCE) + "/" + path;
}

}  // namespace ll::test
