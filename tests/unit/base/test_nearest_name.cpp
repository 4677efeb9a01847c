#include "base/nearest_name.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("the nearest name") {
  std::vector<std::string> names{"backend", "kv_cache.page_size", "kv_cache.radix", "job.input"};
  CHECK(nearest_name("backend", names) == "backend");
  CHECK(nearest_name("bakend", names) == "backend");
  CHECK(nearest_name("backedn", names) == "backend");
  CHECK(nearest_name("kv_cache.pagesize", names) == "kv_cache.page_size");
  CHECK(nearest_name("kv_cahce.page_size", names) == "kv_cache.page_size");
}

TEST_CASE("a known name at the wrong level is near") {
  std::vector<std::string> names{"scheduler.max_num_seqs", "job.input"};
  CHECK(nearest_name("max_num_seqs", names) == "scheduler.max_num_seqs");
  CHECK(nearest_name("batching.max_num_seq", names) == "scheduler.max_num_seqs");
}

TEST_CASE("of equally near names the first") {
  CHECK(nearest_name("cat", {"bat", "hat"}) == "bat");
}

TEST_CASE("nothing is near") {
  CHECK(nearest_name("zzzz", {"backend", "threads"}) == "");
  CHECK(nearest_name("", {"backend"}) == "");
  CHECK(nearest_name("x", {}) == "");
  CHECK(nearest_name(std::string(100'000, 'a'), {"aa", "bb"}) == "");
}
