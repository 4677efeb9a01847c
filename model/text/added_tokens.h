#pragma once
// The tokens that stand in a text as they are ("<|im_end|>"), outside of byte pair encoding.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/text/token_table.h"

namespace ll {

struct AddedToken {
  std::string content;
  int32_t id = kNoToken;
  bool special = false;      // left out when a text is decoded without special tokens
  bool normalized = false;   // matches the normalised text; else the text as it came
  bool lstrip = false;       // takes the white space before it, too
  bool rstrip = false;       // and after it
  bool single_word = false;  // only where no word character touches it
};

// Finds a set of added tokens: the leftmost, and of those that begin together the longest one.
class AddedTokens {
 public:
  // The first one of equal contents stands. No content is empty.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  struct Piece {
    std::string_view text;
    int32_t token;  // kNoToken: text between tokens
  };
  // The pieces of valid UTF-8 in order. Empty ones are left out.
  std::vector<Piece> split(std::string_view text) const;

 private:
  struct Match {
    size_t size = 0;
    const AddedToken* token = nullptr;
  };
  Match longest_at(std::string_view text, size_t pos) const;

  static constexpr uint32_t kNoChild = 0;
  static uint64_t edge(uint32_t node, unsigned char byte) { return uint64_t{node} << 8 | byte; }

  std::vector<AddedToken> tokens_;
  std::array<uint32_t, 256> roots_{};  // child of the root by byte
  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int32_t> token_of_node_;  // index into tokens_, or kNoToken
};

}  // namespace ll
