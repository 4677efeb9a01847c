#pragma once
// Templates and tokenizers of published models, which are not part of this repository. Their folder
// is LITELANG_TEMPLATE_CORPUS, or ../shared/templates of the checkout.
#include <cstdlib>
#include <filesystem>

#include "tests/support/test_paths.h"

namespace ll::test {

inline std::filesystem::path corpus() {
  const char* folder = std::getenv("LITELANG_TEMPLATE_CORPUS");
  return folder ? folder : repository_path("../shared/templates");
}

}  // namespace ll::test
