#include "runtime/schedule/radix_cache.h"

#include <algorithm>

#include "base/check.h"

namespace ll {

struct RadixCache::Node {
  struct ByTokens {
    using is_transparent = void;
    static std::span<const int32_t> tokens_of(const std::unique_ptr<Node>& n) { return n->tokens; }
    static std::span<const int32_t> tokens_of(std::span<const int32_t> t) { return t; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      auto x = tokens_of(a), y = tokens_of(b);
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
    }
  };

  Node* parent = nullptr;
  std::vector<int32_t> tokens;
  int32_t page = -1;
  int64_t step = 0;   // that computed the page
  int32_t locks = 0;  // of this node and of all below it
  uint64_t last_use = 0;
  std::set<std::unique_ptr<Node>, ByTokens> children;
};

namespace {

int64_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  size_t n = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(n), b.begin()).first - a.begin();
}

}  // namespace

bool RadixCache::ByUse::operator()(const Node* a, const Node* b) const {
  return a->last_use != b->last_use ? a->last_use < b->last_use : a->page < b->page;
}

RadixCache::RadixCache(PagePool& pool, int64_t page_span)
    : pool_(pool), page_span_(page_span), root_(std::make_unique<Node>()) {
  root_->locks = 1;
}

RadixCache::~RadixCache() {
  evict(num_evictable_);  // what is still locked shows up as leaked in the pool
}

int32_t RadixCache::page_of(const Node* node) const { return node->page; }

std::vector<int32_t> RadixCache::pages_to(const Node* node) const {
  std::vector<int32_t> pages;
  for (; node && node != root_.get(); node = node->parent) pages.push_back(node->page);
  std::reverse(pages.begin(), pages.end());
  return pages;
}

RadixCache::Match RadixCache::match(std::span<const int32_t> tokens, int64_t step) {
  Match m;
  Node* at = root_.get();
  auto size = static_cast<size_t>(page_span_);
  while (!tokens.empty()) {
    auto content = tokens.first(std::min(size, tokens.size()));  // of one page
    auto next = at->children.lower_bound(content);
    if (next != at->children.end() && content.size() == size && (*next)->tokens.size() == size &&
        common_prefix((*next)->tokens, content) == page_span_) {
      at = next->get();
      m.node = at;
      m.pages.push_back(at->page);
      tokens = tokens.subspan(size);
      continue;
    }
    // The nearest children on both sides of the content share the most with it.
    auto consider = [&](Node* child) {
      int64_t rows = common_prefix(child->tokens, content);
      if (rows > m.partial_rows && child->step < step) m.partial = child, m.partial_rows = rows;
    };
    if (next != at->children.end()) consider(next->get());
    if (next != at->children.begin()) consider(std::prev(next)->get());
    break;
  }
  touch(m.partial ? m.partial : m.node);
  return m;
}

RadixCache::Node* RadixCache::insert(std::span<const int32_t> tokens,
                                     std::span<const int32_t> pages, int64_t step) {
  Node *at = root_.get(), *last_own = nullptr;
  bool is_own = true;
  auto size = static_cast<size_t>(page_span_);
  for (size_t i = 0; !tokens.empty(); ++i) {
    auto content = tokens.first(std::min(size, tokens.size()));
    tokens = tokens.subspan(content.size());
    auto found = at->children.lower_bound(content);
    // A child that begins with the content already has it.
    if (found != at->children.end() &&
        common_prefix((*found)->tokens, content) == static_cast<int64_t>(content.size())) {
      if (content.size() < size) break;
      at = found->get();
      is_own &= at->page == pages[i];
      if (is_own) last_own = at;
      continue;
    }
    // A part-full page that the content extends is superseded: it stands right before the content.
    if (found != at->children.begin()) {
      Node* before = std::prev(found)->get();
      if (common_prefix(before->tokens, content) == static_cast<int64_t>(before->tokens.size()) &&
          is_evictable_leaf(before))
        remove(before);
    }
    at = add_child(at, content, pages[i], step);
    if (is_own && content.size() == size) last_own = at;
  }
  if (at != root_.get()) touch(at);
  return last_own;
}

RadixCache::Node* RadixCache::add_child(Node* parent, std::span<const int32_t> tokens, int32_t page,
                                        int64_t step) {
  if (is_evictable_leaf(parent)) leaves_.erase(parent);
  auto child = std::make_unique<Node>();
  child->parent = parent;
  child->tokens.assign(tokens.begin(), tokens.end());
  child->page = page;
  child->step = step;
  Node* node = child.get();
  parent->children.insert(std::move(child));
  pool_.retain(page);
  ++num_pages_;
  ++num_evictable_;
  leaves_.insert(node);
  return node;
}

// The node and its ancestors were used now; an ancestor's age never exceeds its descendants'.
void RadixCache::touch(Node* node) {
  ++clock_;
  for (; node && node != root_.get(); node = node->parent) {
    bool listed = is_evictable_leaf(node);
    if (listed) leaves_.erase(node);
    node->last_use = clock_;
    if (listed) leaves_.insert(node);
  }
}

bool RadixCache::is_evictable_leaf(const Node* node) const {
  return node->locks == 0 && node->children.empty();
}

void RadixCache::lock(Node* node) {
  for (node = or_root(node); node; node = node->parent) {
    if (is_evictable_leaf(node)) leaves_.erase(node);
    if (node->locks++ == 0) --num_evictable_;
  }
}

void RadixCache::unlock(Node* node) {
  for (node = or_root(node); node; node = node->parent) {
    ensure(node->locks > 0, "radix cache: unlock of an unlocked node");
    if (--node->locks == 0) ++num_evictable_;
    if (is_evictable_leaf(node)) leaves_.insert(node);
  }
}

void RadixCache::remove(Node* leaf) {
  leaves_.erase(leaf);
  pool_.release(leaf->page);
  --num_pages_;
  --num_evictable_;
  Node* parent = leaf->parent;
  parent->children.erase(parent->children.find(std::span<const int32_t>(leaf->tokens)));
  if (is_evictable_leaf(parent)) leaves_.insert(parent);
}

int64_t RadixCache::evict(int64_t count) {
  int64_t evicted = 0;
  for (; evicted < count && !leaves_.empty(); ++evicted) remove(*leaves_.begin());
  return evicted;
}

void RadixCache::check_integrity() const {
  int64_t pages = 0, evictable = 0;
  size_t leaves = 0;
  auto visit = [&](auto&& self, const Node* node) -> void {
    int32_t below = 0;
    for (const auto& child : node->children) {
      ensure(child->parent == node && !child->tokens.empty(), "radix cache: broken link");
      ensure(child->children.empty() || static_cast<int64_t>(child->tokens.size()) == page_span_,
             "radix cache: an inner page is not full");
      ensure(child->last_use <= node->last_use || node == root_.get(),
             "radix cache: a child is younger than its parent");
      ensure(pool_.holders(child->page) > 0, "radix cache: holds a free page");
      below += child->locks;
      ++pages;
      evictable += child->locks == 0;
      leaves += is_evictable_leaf(child.get());
      ensure(leaves_.contains(const_cast<Node*>(child.get())) == is_evictable_leaf(child.get()),
             "radix cache: leaf list");
      self(self, child.get());
    }
    ensure(node->locks >= below, "radix cache: lock counts");
  };
  visit(visit, root_.get());
  ensure(pages == num_pages_ && evictable == num_evictable_ && leaves == leaves_.size(),
         "radix cache: counters");
}

}  // namespace ll
