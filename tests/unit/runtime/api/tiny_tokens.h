#pragma once
// Texts as tokens of the small tokenizer.
#include <string>
#include <vector>

#include "tests/unit/model/text/tokenizer_data.h"

namespace ll::test {

inline std::vector<int32_t> encode(const std::string& text) { return tiny_docs().encode(text); }

// One token a byte: characters and stop strings span tokens.
inline std::vector<int32_t> bytes_of(const std::string& text) {
  std::vector<int32_t> ids;
  for (char c : text)
    for (int32_t id = 0; id < 256; ++id)
      if (tiny_docs().token_bytes(id) == std::string(1, c)) ids.push_back(id);
  return ids;
}

}  // namespace ll::test
