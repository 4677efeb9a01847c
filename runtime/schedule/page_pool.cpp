#include "runtime/schedule/page_pool.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/check.h"

namespace ll {

PagePool::PagePool(int64_t num_pages) : holders_(static_cast<size_t>(num_pages)) {
  for (int64_t page = num_pages; page-- > 0;) free_.push_back(static_cast<int32_t>(page));
}

PagePool::~PagePool() {
  if (num_free() == num_pages() || std::uncaught_exceptions() > 0) return;
  fmt::print(stderr, "internal error: {} of {} KV pages leaked; please report it\n", num_used(),
             num_pages());
  std::abort();
}

int32_t PagePool::allocate() {
  ensure(!free_.empty(), "page pool: allocate without a free page");
  int32_t page = free_.back();
  free_.pop_back();
  holders_[static_cast<size_t>(page)] = 1;
  return page;
}

void PagePool::retain(int32_t page) {
  ensure(holders(page) > 0, "page pool: retain of a free page");
  ++holders_[static_cast<size_t>(page)];
}

void PagePool::release(int32_t page) {
  ensure(holders(page) > 0, "page pool: release of a free page");
  if (--holders_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

void PagePool::check_integrity() const {
  std::vector<bool> seen(holders_.size());
  for (int32_t page : free_) {
    ensure(holders(page) == 0 && !seen[static_cast<size_t>(page)], "page pool: free list broken");
    seen[static_cast<size_t>(page)] = true;
  }
  for (size_t page = 0; page < holders_.size(); ++page)
    ensure(seen[page] == (holders_[page] == 0), "page pool: a page is neither free nor held");
}

}  // namespace ll
