#pragma once
// Who holds which KV page: the books of the page pool and the radix cache. Whom to run, and who
// gives way when pages run out, is the Scheduler's business.
//
// A page is free, or held once by the cache's node of it and once by each hold that names it. Of a
// hold, page i has the keys and values of positions [i * page_span, (i + 1) * page_span):
//
// clang-format off
//   pages                     filled by                       held by
//   [0, num_shared)           others, before this step or     the hold, others like it and, as a rule,
//                             in it; only read                the cache
//   [num_shared, whole)       this sequence; only read        the hold, and the cache once it was
//                             from then on                    shown them
//   [whole, size())           this sequence, as it runs       the hold alone
//   copy_source               another; its first rows are     the hold until the copy is planned, then
//                             copied to the next page got     the ledger until end_step()
// clang-format on
//   whole = computed positions / page_span.
//
// The cache may have tokens of the sequence on another page than the hold: a prompt that is scored
// is computed again, two sequences draw the same answer. Each then keeps its own, so that no key
// changes under a row that reads it, and the twin is the cache's alone. `lock` is the last node
// down to which the cache's pages are the hold's own: a sequence locks no page that it does not
// hold, so what running sequences do not hold can always be had, and the last one of them runs.
//
// release() shows the cache every computed page, the part-full last one too, and lets go of all of
// the hold's; drop() only lets go. What the cache alone holds it gives up when pages run out.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/schedule/page_pool.h"
#include "runtime/schedule/radix_cache.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

// What one sequence has of the KV memory. Only the ledger changes it.
struct KvHold {
  struct CopySource {
    int32_t page = -1, rows = 0;
  };
  std::vector<int32_t> pages;
  int32_t num_shared = 0;  // of them, in front, filled by others
  CopySource copy_source;
  RadixCache::Node* lock = nullptr;

  bool awaits_copy() const { return copy_source.page >= 0; }
  int64_t num_own() const { return static_cast<int64_t>(pages.size()) - num_shared; }
};

class KvLedger {
 public:
  // Without `keeps_prefixes` there is no cache: sequences share pages by fork() alone.
  KvLedger(int64_t num_pages, int64_t page_span, bool keeps_prefixes);

  // Steps have rising numbers. Between the two calls holds come and grow; end_step() writes to the
  // plan what the ranks change in their page tables and which pages they copy before any row runs.
  // A page that is copied from stays held until then: no copy of the same step may go to it.
  void begin_step(int64_t step) { step_ = step; }
  void end_step(StepPlan& plan);

  // Gives an empty hold what the cache knows of `tokens`: whole pages, and with `may_copy` a page
  // to copy the first rows of. Returns the number of positions that need not be computed.
  int32_t take_known(KvHold& hold, std::span<const int32_t> tokens, bool may_copy);

  // A hold that shares the computed positions [0, num_positions) of another, and copies those in
  // its part-full page: extend() it in a later step than the one that computes them.
  KvHold fork(const KvHold& from, int32_t num_positions);

  // Writes the hold's pages to the page table of `slot`, which the sequence takes over.
  void enter(const KvHold& hold, int32_t slot);

  // Pages for positions [0, num_positions), written to the page table of `slot`. False when they
  // ran out; what was got is kept.
  bool extend(KvHold& hold, int32_t slot, int32_t num_positions);
  int64_t num_positions(const KvHold& hold) const {
    return static_cast<int64_t>(hold.pages.size()) * page_span_;
  }

  // Shows the cache the whole pages of `tokens`, the sequence's first, which are computed or
  // planned to be in this step. Others share them from this very step on: keys are written before
  // any row reads them.
  void show(KvHold& hold, std::span<const int32_t> tokens);
  // Shows the cache all pages of `tokens` and empties the hold.
  void release(KvHold& hold, std::span<const int32_t> tokens);
  void drop(KvHold& hold);

  int64_t num_pages() const { return pool_.num_pages(); }
  int64_t num_free() const { return pool_.num_free(); }
  // In the `pages` of holds; what the cache alone holds is as good as free.
  int64_t num_in_use() const { return num_in_use_; }
  int64_t page_span() const { return page_span_; }

  // Throws Error when the books do not agree; `holds` are all there are.
  void check_integrity(std::span<const KvHold* const> holds) const;

 private:
  int32_t allocate();
  void add_reader(int32_t page);
  void remove_reader(int32_t page);
  void show_pages(KvHold& hold, std::span<const int32_t> tokens);
  void lock(KvHold& hold, RadixCache::Node* node);
  void unlock(KvHold& hold);

  int64_t page_span_;
  PagePool pool_;
  std::unique_ptr<RadixCache> cache_;  // null: none
  std::vector<int32_t> readers_;       // the number of holds whose `pages` have the page
  int64_t num_in_use_ = 0;             // pages with a reader
  int64_t step_ = 0;
  std::vector<PageDelta> deltas_;  // of the step being planned
  std::vector<PageCopy> copies_;   // of the same; their sources are held
};

}  // namespace ll
