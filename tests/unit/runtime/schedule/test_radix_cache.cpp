#include <doctest/doctest.h>

#include <map>
#include <random>

#include "base/check.h"
#include "runtime/schedule/radix_cache.h"

using namespace ll;

namespace {

std::vector<int32_t> repeat(int32_t token, size_t n) { return std::vector<int32_t>(n, token); }

// Inserts with fresh pages and drops the caller's hold, as a finished sequence does.
void put(RadixCache& cache, PagePool& pool, const std::vector<int32_t>& tokens, int64_t page_span,
         int64_t step = 0) {
  std::vector<int32_t> pages;
  for (size_t i = 0; i < tokens.size(); i += static_cast<size_t>(page_span))
    pages.push_back(pool.allocate());
  cache.insert(tokens, pages, step);
  for (int32_t page : pages) pool.release(page);
  cache.check_integrity();
  pool.check_integrity();
}

int64_t matched(RadixCache& cache, const std::vector<int32_t>& tokens, int64_t page_span,
                int64_t step = 1) {
  auto m = cache.match(tokens, step);
  return static_cast<int64_t>(m.pages.size()) * page_span + m.partial_rows;
}

}  // namespace

TEST_CASE("matching is token-granular") {
  PagePool pool(20);
  {
    RadixCache cache(pool, 4);
    put(cache, pool, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 4);
    CHECK(cache.num_pages() == 3);
    CHECK(matched(cache, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 4) == 10);
    CHECK(matched(cache, {1, 2, 3, 4, 5, 6, 7, 8}, 4) == 8);
    CHECK(matched(cache, {1, 2, 3, 4, 5, 9}, 4) == 5);
    CHECK(matched(cache, {1, 2}, 4) == 2);
    CHECK(matched(cache, {2, 2}, 4) == 0);
    CHECK(matched(cache, {}, 4) == 0);
  }
  CHECK(pool.num_free() == 20);
}

TEST_CASE("a page of the same step is shared whole but not copied from") {
  PagePool pool(20);
  RadixCache cache(pool, 4);
  put(cache, pool, {1, 2, 3, 4, 5, 6, 7, 8}, 4, 7);
  CHECK(matched(cache, {1, 2, 3, 4, 5, 6}, 4, 7) == 4);
  CHECK(matched(cache, {1, 2, 3, 4, 5, 6}, 4, 8) == 6);
}

TEST_CASE("a longer page supersedes a part of it, and a part adds nothing") {
  PagePool pool(20);
  RadixCache cache(pool, 4);
  put(cache, pool, {1, 2}, 4);
  put(cache, pool, {1, 2, 3}, 4);
  CHECK(cache.num_pages() == 1);
  put(cache, pool, {1, 2}, 4);
  CHECK(cache.num_pages() == 1);
  put(cache, pool, {1, 2, 3, 4, 5}, 4);
  CHECK(cache.num_pages() == 2);
  CHECK(pool.num_used() == 2);
}

TEST_CASE("an insert returns the last node down to which all pages are the caller's") {
  PagePool pool(20);
  RadixCache cache(pool, 2);
  std::vector<int32_t> one, other, tokens{1, 2, 3, 4, 5, 6};
  for (int i = 0; i < 3; ++i) {
    one.push_back(pool.allocate());
    other.push_back(pool.allocate());
  }
  using Pages = std::vector<int32_t>;
  auto* own = cache.insert(std::span(tokens).first(5), one, 0);
  CHECK(cache.pages_to(own) == Pages{one[0], one[1]});  // the third page is part full
  CHECK(cache.insert(tokens, other, 0) == nullptr);
  own = cache.insert(tokens, Pages{one[0], other[1], other[2]}, 0);
  CHECK(cache.pages_to(own) == Pages{one[0]});
  CHECK(cache.num_pages() == 3);
  for (const Pages* pages : {&one, &other})
    for (int32_t page : *pages) pool.release(page);
}

TEST_CASE("eviction takes the least recently used leaf and never what is locked") {
  PagePool pool(20);
  RadixCache cache(pool, 2);
  put(cache, pool, repeat(1, 6), 2);
  put(cache, pool, repeat(2, 4), 2);
  auto m = cache.match(repeat(1, 4), 1);
  cache.lock(m.node);
  CHECK(cache.num_evictable() == 3);
  CHECK(cache.evict(1) == 1);  // the tail of the ones: its last use is the oldest
  CHECK(matched(cache, repeat(1, 6), 2) == 4);
  CHECK(cache.evict(10) == 2);
  CHECK(matched(cache, repeat(2, 4), 2) == 0);
  CHECK(matched(cache, repeat(1, 6), 2) == 4);
  cache.check_integrity();
  cache.unlock(m.node);
  CHECK(cache.evict(10) == 2);
  CHECK(pool.num_used() == 0);
}

TEST_CASE("random operations agree with a list of what was inserted") {
  std::mt19937 rng(5);
  for (int64_t page_span : {1, 3, 8}) {
    PagePool pool(40000);
    RadixCache cache(pool, page_span);
    std::vector<std::vector<int32_t>> known;
    std::vector<RadixCache::Node*> locked;
    auto random_tokens = [&] {
      std::vector<int32_t> t(1 + rng() % 20);
      for (auto& x : t) x = static_cast<int32_t>(rng() % 3);
      return t;
    };
    for (int i = 0; i < 1500; ++i) {
      auto tokens = random_tokens();
      if (rng() % 2) {
        put(cache, pool, tokens, page_span);
        known.push_back(tokens);
      }
      auto query = random_tokens();
      size_t best = 0;
      for (const auto& k : known) {
        size_t n = 0;
        while (n < k.size() && n < query.size() && k[n] == query[n]) ++n;
        best = std::max(best, n);
      }
      auto m = cache.match(query, 1);
      CHECK(static_cast<size_t>(matched(cache, query, page_span)) == best);
      if (rng() % 4 == 0 && m.node) {
        cache.lock(m.node);
        locked.push_back(m.node);
      }
      if (rng() % 4 == 0 && !locked.empty()) {
        cache.unlock(locked.back());
        locked.pop_back();
      }
      cache.check_integrity();
    }
    for (auto* node : locked) cache.unlock(node);
    cache.evict(cache.num_pages());
    CHECK(pool.num_used() == 0);
  }
}

TEST_CASE("the page pool counts holders") {
  PagePool pool(3);
  int32_t a = pool.allocate(), b = pool.allocate();
  pool.retain(a);
  pool.release(a);
  CHECK(pool.num_free() == 1);
  pool.release(a);
  CHECK(pool.num_free() == 2);
  CHECK_THROWS_AS(pool.release(a), Error);
  CHECK_THROWS_AS(pool.retain(a), Error);
  pool.check_integrity();
  pool.release(b);
  for (int i = 0; i < 3; ++i) pool.allocate();
  CHECK_THROWS_AS(pool.allocate(), Error);
  for (int32_t page : {0, 1, 2}) pool.release(page);
}
