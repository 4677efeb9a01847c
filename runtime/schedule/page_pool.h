#pragma once
// The ids of the KV pages and who holds them: a page is free, or held once by each sequence that
// reads it and once by the radix cache. Ids only; the memory is every rank's KvCache.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ll {

class PagePool {
 public:
  explicit PagePool(int64_t num_pages);
  // Ends the program when a page is still held: pages leak only by a bug.
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  int64_t num_pages() const { return static_cast<int64_t>(holders_.size()); }
  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }
  int64_t num_used() const { return num_pages() - num_free(); }
  int32_t holders(int32_t page) const { return holders_[static_cast<size_t>(page)]; }

  // A page held once; num_free() must not be 0.
  int32_t allocate();
  void retain(int32_t page);
  void release(int32_t page);  // free once nobody holds it

  // Throws Error when free list and counts disagree.
  void check_integrity() const;

 private:
  std::vector<int32_t> holders_;  // per page
  std::vector<int32_t> free_;     // a stack: the page used last is in cache
};

}  // namespace ll
