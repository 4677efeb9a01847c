#pragma once
// The tokenizers and golden files that the tests of this folder share.
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "model/text/tokenizer.h"
#include "tests/support/errors.h"
#include "tests/support/read_file.h"
#include "tests/support/test_paths.h"

namespace ll::test {

inline std::string read_data(const std::string& path) {
  check(std::filesystem::exists(data_path(path)), "{}: no such test data", path);
  return read_file(data_path(path));
}

inline const std::string kQwen25 = "tokenizers/qwen2.5/tokenizer.json";
inline const std::string kTinyDocs = "models/tiny-qwen2-docs/tokenizer.json";

// Loaded once a program: the large one takes seconds under a sanitizer.
inline const Tokenizer& qwen25() {
  static const Tokenizer tokenizer = Tokenizer::from_json(read_data(kQwen25), kQwen25);
  return tokenizer;
}
inline const Tokenizer& tiny_docs() {
  static const Tokenizer tokenizer = Tokenizer::from_json(read_data(kTinyDocs), kTinyDocs);
  return tokenizer;
}

inline nlohmann::ordered_json golden(const std::string& name) {
  return nlohmann::ordered_json::parse(read_data("tokenizers/golden/" + name + ".json"));
}

}  // namespace ll::test
