#pragma once
// A set of line numbers: a bit each, for any number of lines.
#include <cstdint>
#include <vector>

namespace ll {

class LineSet {
 public:
  // False: it was there.
  bool insert(int64_t line) {
    auto word = static_cast<size_t>(line) / 64;
    if (word >= words_.size()) words_.resize(word + 1 + word / 2);
    uint64_t bit = uint64_t{1} << (line % 64);
    bool is_new = (words_[word] & bit) == 0;
    words_[word] |= bit;
    size_ += is_new;
    return is_new;
  }
  bool contains(int64_t line) const {
    auto word = static_cast<size_t>(line) / 64;
    return word < words_.size() && (words_[word] >> (line % 64) & 1) != 0;
  }
  int64_t size() const { return size_; }

 private:
  std::vector<uint64_t> words_;
  int64_t size_ = 0;
};

}  // namespace ll
