#include "runtime/schedule/kv_ledger.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace ll {

KvLedger::KvLedger(int64_t num_pages, int64_t page_span, bool keeps_prefixes)
    : page_span_(page_span), pool_(num_pages), readers_(static_cast<size_t>(num_pages)) {
  if (keeps_prefixes) cache_ = std::make_unique<RadixCache>(pool_, page_span);
}

void KvLedger::end_step(StepPlan& plan) {
  for (const PageCopy& copy : copies_) pool_.release(copy.source);
  plan.page_deltas = std::exchange(deltas_, {});
  plan.page_copies = std::exchange(copies_, {});
}

int32_t KvLedger::take_known(KvHold& hold, std::span<const int32_t> tokens, bool may_copy) {
  if (!cache_) return 0;
  RadixCache::Match match = cache_->match(tokens, step_);
  lock(hold, match.node);
  for (int32_t page : match.pages) {
    pool_.retain(page);
    add_reader(page);
  }
  hold.pages = std::move(match.pages);
  hold.num_shared = static_cast<int32_t>(hold.pages.size());
  if (match.partial && may_copy) {
    hold.copy_source = {cache_->page_of(match.partial), static_cast<int32_t>(match.partial_rows)};
    pool_.retain(hold.copy_source.page);
  }
  return static_cast<int32_t>(num_positions(hold)) + hold.copy_source.rows;
}

KvHold KvLedger::fork(const KvHold& from, int32_t num_positions) {
  KvHold hold;
  int64_t whole = num_positions / page_span_;
  hold.pages.assign(from.pages.begin(), from.pages.begin() + whole);
  hold.num_shared = static_cast<int32_t>(whole);
  for (int32_t page : hold.pages) {
    pool_.retain(page);
    add_reader(page);
  }
  if (auto rows = static_cast<int32_t>(num_positions % page_span_); rows > 0) {
    hold.copy_source = {from.pages[static_cast<size_t>(whole)], rows};
    pool_.retain(hold.copy_source.page);
  }
  lock(hold, from.lock);
  return hold;
}

void KvLedger::enter(const KvHold& hold, int32_t slot) {
  for (size_t i = 0; i < hold.pages.size(); ++i)
    deltas_.push_back({slot, static_cast<int32_t>(i), hold.pages[i]});
}

bool KvLedger::extend(KvHold& hold, int32_t slot, int32_t num_positions) {
  while (this->num_positions(hold) < num_positions) {
    int32_t page = allocate();
    if (page < 0) return false;
    if (hold.awaits_copy()) {
      copies_.push_back({hold.copy_source.page, page, hold.copy_source.rows});
      hold.copy_source = {};
    }
    deltas_.push_back({slot, static_cast<int32_t>(hold.pages.size()), page});
    hold.pages.push_back(page);
    add_reader(page);
  }
  return true;
}

// -1 when there is none. A page the cache gives up is free unless someone reads it or is yet to
// copy it.
int32_t KvLedger::allocate() {
  while (pool_.num_free() == 0 && cache_ && cache_->evict(1) > 0) {
  }
  return pool_.num_free() > 0 ? pool_.allocate() : -1;
}

void KvLedger::show(KvHold& hold, std::span<const int32_t> tokens) {
  size_t part = tokens.size() % static_cast<size_t>(page_span_);
  show_pages(hold, tokens.first(tokens.size() - part));
}

// While a copy is pending, the last of the computed positions have no page of the hold's own.
void KvLedger::show_pages(KvHold& hold, std::span<const int32_t> tokens) {
  if (!cache_ || tokens.empty() || hold.awaits_copy()) return;
  lock(hold, cache_->insert(tokens, hold.pages, step_));
}

void KvLedger::release(KvHold& hold, std::span<const int32_t> tokens) {
  show_pages(hold, tokens);
  drop(hold);
}

void KvLedger::drop(KvHold& hold) {
  for (int32_t page : hold.pages) {
    remove_reader(page);
    pool_.release(page);
  }
  if (hold.awaits_copy()) pool_.release(hold.copy_source.page);
  unlock(hold);
  hold = {};
}

// Instead of what it had locked before.
void KvLedger::lock(KvHold& hold, RadixCache::Node* node) {
  if (node) cache_->lock(node);
  unlock(hold);
  hold.lock = node;
}

void KvLedger::unlock(KvHold& hold) {
  if (hold.lock) cache_->unlock(hold.lock);
  hold.lock = nullptr;
}

void KvLedger::add_reader(int32_t page) {
  if (readers_[static_cast<size_t>(page)]++ == 0) ++num_in_use_;
}

void KvLedger::remove_reader(int32_t page) {
  if (--readers_[static_cast<size_t>(page)] == 0) --num_in_use_;
}

void KvLedger::check_integrity(std::span<const KvHold* const> holds) const {
  pool_.check_integrity();
  if (cache_) cache_->check_integrity();
  int64_t held = static_cast<int64_t>(copies_.size()) + (cache_ ? cache_->num_pages() : 0),
          counted = 0;
  std::vector<int32_t> readers(readers_.size());
  std::set<int32_t> locked;
  for (const KvHold* hold : holds) {
    held += static_cast<int64_t>(hold->pages.size()) + hold->awaits_copy();
    for (int32_t page : hold->pages) ++readers[static_cast<size_t>(page)];
    if (!hold->lock) continue;
    std::vector<int32_t> own = cache_->pages_to(hold->lock);
    ensure(
        own.size() <= hold->pages.size() && std::equal(own.begin(), own.end(), hold->pages.begin()),
        "kv ledger: a sequence locks pages that it does not hold");
    locked.insert(own.begin(), own.end());
  }
  for (int32_t page = 0; page < num_pages(); ++page) counted += pool_.holders(page);
  ensure(held == counted, "kv ledger: page holders");
  ensure(readers == readers_, "kv ledger: readers of pages");
  ensure(num_in_use_ == num_pages() - std::count(readers.begin(), readers.end(), 0),
         "kv ledger: pages in use");
  ensure(!cache_ || cache_->num_locked() == static_cast<int64_t>(locked.size()),
         "kv ledger: locked pages that no sequence holds");
}

}  // namespace ll
