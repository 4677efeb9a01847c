#pragma once
// Prompts and answers already computed, by their tokens [Zheng et al. 2024, SGLang's
// RadixAttention]: a tree whose nodes are KV pages. A node holds up to page_span tokens and the
// page with their keys and values; a path from the root spells a sequence. Children are ordered by
// their tokens, so the child with the longest common prefix stands where a search for the tokens
// ends.
//
// Matching is token-granular: the last page of a match may be shared in part only; its rows are
// then copied (copy on write). Nodes in use are locked, with all their ancestors; unlocked leaves
// are evicted, least recently used first.
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "runtime/schedule/page_pool.h"

namespace ll {

class RadixCache {
 public:
  struct Node;

  RadixCache(PagePool& pool, int64_t page_span);
  ~RadixCache();
  RadixCache(const RadixCache&) = delete;
  RadixCache& operator=(const RadixCache&) = delete;

  struct Match {
    Node* node = nullptr;        // the deepest whole page; lock it before anything else may evict
    std::vector<int32_t> pages;  // whole pages, in order
    Node* partial = nullptr;     // a page that shares its first `partial_rows` tokens
    int64_t partial_rows = 0;
  };
  // The longest known prefix of `tokens`. Pages computed in step `step` itself are shared whole,
  // since keys are written before they are read, but not copied from, since copies run first. Valid
  // until the next insert, unlock or evict; use lock().
  Match match(std::span<const int32_t> tokens, int64_t step);

  int32_t page_of(const Node* node) const;

  // Adds the pages of `tokens`, computed in step `step`, that the tree does not have; pages[i]
  // holds tokens [i * page_span, ...). The last page may be part full. The tree retains what it
  // takes; where it has the tokens on a page already, it keeps its own. Returns the last whole node
  // down to which all pages are the caller's, which is what the caller may lock; null: none.
  Node* insert(std::span<const int32_t> tokens, std::span<const int32_t> pages, int64_t step);

  // A locked node and its ancestors are not evicted. Null is the root.
  void lock(Node* node);
  void unlock(Node* node);

  // Releases up to `count` pages nobody uses; returns how many.
  int64_t evict(int64_t count);
  int64_t num_evictable() const { return num_evictable_; }
  int64_t num_locked() const { return num_pages_ - num_evictable_; }
  int64_t num_pages() const { return num_pages_; }
  // From the root down to the node.
  std::vector<int32_t> pages_to(const Node* node) const;

  // Throws Error when an invariant is broken.
  void check_integrity() const;

 private:
  struct ByUse {
    bool operator()(const Node* a, const Node* b) const;
  };
  Node* or_root(Node* node) { return node ? node : root_.get(); }
  Node* add_child(Node* parent, std::span<const int32_t> tokens, int32_t page, int64_t step);
  void remove(Node* leaf);
  void touch(Node* node);
  bool is_evictable_leaf(const Node* node) const;

  PagePool& pool_;
  int64_t page_span_;
  std::unique_ptr<Node> root_;
  std::set<Node*, ByUse> leaves_;  // unlocked leaves, least recently used first
  uint64_t clock_ = 0;
  int64_t num_evictable_ = 0, num_pages_ = 0;
};

}  // namespace ll
