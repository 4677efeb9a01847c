#include "runtime/schedule/step_plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/check.h"
#include "base/hash/hash.h"

using namespace ll;

namespace {

class PlanMaker {
 public:
  explicit PlanMaker(unsigned seed) : rng_(seed) {}

  StepPlan make(size_t longest) {
    StepPlan p;
    p.id = word();
    p.kind = static_cast<StepPlan::Kind>(rng_() % 3);
    p.gathered = rng_() % 2 == 0;
    fill(p.decode, longest, [&] { return StepPlan::DecodeRow{word(), word()}; });
    fill(p.chunks, longest, [&] {
      return StepPlan::PromptChunk{word(), word(), word(), words(longest), word()};
    });
    fill(p.samples, longest, [&] { return StepPlan::Sample{word(), word(), word()}; });
    fill(p.new_slots, longest, [&] {
      return StepPlan::NewSlot{word(),         sampling(longest), word(),
                               words(longest), words(longest),    words(longest)};
    });
    fill(p.page_deltas, longest, [&] { return PageDelta{word(), word(), word()}; });
    fill(p.page_copies, longest, [&] { return PageCopy{word(), word(), word()}; });
    fill(p.prefix_groups, longest, [&] {
      return PrefixGroup{word(), word(), word(), word(), word()};
    });
    return p;
  }

 private:
  int32_t word() { return static_cast<int32_t>(rng_()); }
  float number() { return static_cast<float>(word()) / 1e6f; }
  std::vector<int32_t> words(size_t longest) {
    std::vector<int32_t> list(rng_() % (longest + 1));
    for (int32_t& w : list) w = word();
    return list;
  }
  SlotSampling sampling(size_t longest) {
    SlotSampling s{Draw{.seed = uint64_t{rng_()} << 32 | rng_(),
                        .temperature = number(),
                        .top_p = number(),
                        .min_p = number(),
                        .top_k = word(),
                        .repetition_penalty = number(),
                        .presence_penalty = number(),
                        .frequency_penalty = -INFINITY}};
    s.num_logprobs = word();
    s.min_position = word();
    s.banned_before = words(longest);
    for (int32_t token : words(longest)) s.logit_bias.emplace_back(token, number());
    return s;
  }
  template <class T, class F>
  void fill(std::vector<T>& list, size_t longest, F&& make_one) {
    for (size_t n = rng_() % (longest + 1); n > 0; --n) list.push_back(make_one());
  }

  std::mt19937 rng_;
};

template <class T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

bool same(const SlotSampling& a, const SlotSampling& b) {
  return static_cast<const Draw&>(a) == b && a.num_logprobs == b.num_logprobs &&
         a.min_position == b.min_position && a.banned_before == b.banned_before &&
         a.logit_bias == b.logit_bias;
}

bool same(const StepPlan::NewSlot& a, const StepPlan::NewSlot& b) {
  return a.slot == b.slot && same(a.sampling, b.sampling) && a.prompt == b.prompt &&
         a.output == b.output && a.end == b.end;
}

bool same(const StepPlan::PromptChunk& a, const StepPlan::PromptChunk& b) {
  return a.slot == b.slot && a.first_position == b.first_position &&
         a.num_prompt_logprobs == b.num_prompt_logprobs && a.tokens == b.tokens &&
         a.next_token == b.next_token;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same(x, y); });
}

bool same(const StepPlan& a, const StepPlan& b) {
  return a.id == b.id && a.kind == b.kind && a.num_drafts == b.num_drafts &&
         same_bytes(a.decode, b.decode) && same(a.chunks, b.chunks) &&
         same_bytes(a.samples, b.samples) && same(a.new_slots, b.new_slots) &&
         same_bytes(a.page_deltas, b.page_deltas) && same_bytes(a.page_copies, b.page_copies) &&
         same_bytes(a.prefix_groups, b.prefix_groups);
}

// The checksum of a plan as encode() ends it, for plans that lie in other ways.
int32_t checksum(const std::vector<int32_t>& words) {
  Fnv32 hash;
  for (int32_t w : words) hash.add(static_cast<uint32_t>(w));
  return static_cast<int32_t>(hash.value);
}

}  // namespace

TEST_CASE("a plan comes back as it was") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    StepPlan plan = PlanMaker(seed).make(seed % 20);
    std::vector<int32_t> flat = plan.encode();
    StepPlan back = StepPlan::decode_from(flat);
    REQUIRE(same(plan, back));
    REQUIRE(back.encode() == flat);
  }
}

TEST_CASE("the empty plan, and the plans that only signal") {
  for (auto kind : {StepPlan::Kind::kStep, StepPlan::Kind::kIdle, StepPlan::Kind::kStop}) {
    StepPlan plan{.kind = kind};
    StepPlan back = StepPlan::decode_from(plan.encode());
    CHECK(same(plan, back));
    CHECK(back.num_tokens() == 0);
    CHECK(back.is_decode_only());
  }
}

TEST_CASE("rows are counted over decode rows and chunks") {
  StepPlan plan;
  plan.decode = {{1, 5}, {2, 6}};
  CHECK(plan.num_tokens() == 2);
  CHECK(plan.is_decode_only());
  plan.chunks = {{.slot = 3, .tokens = {1, 2, 3}}, {.slot = 4, .tokens = {7}}};
  CHECK(plan.num_tokens() == 6);
  CHECK(!plan.is_decode_only());
}

TEST_CASE("a changed word is found, whichever it is") {
  std::mt19937 rng(7);
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::vector<int32_t> flat = PlanMaker(seed).make(5).encode();
    for (int32_t& word : flat) {
      int32_t before = word;
      for (int bit : {0, static_cast<int>(rng() % 32), 31}) {
        word = static_cast<int32_t>(static_cast<uint32_t>(before) ^ 1u << bit);
        REQUIRE_THROWS_AS(StepPlan::decode_from(flat), Error);
      }
      word = before;
    }
    REQUIRE_NOTHROW(StepPlan::decode_from(flat));
  }
}

TEST_CASE("a plan that was cut short is refused at every length") {
  std::vector<int32_t> flat = PlanMaker(3).make(6).encode();
  for (size_t length = 0; length < flat.size(); ++length) {
    CHECK_THROWS_AS(StepPlan::decode_from(std::span(flat).first(length)), Error);
    // With a checksum that fits, the lists give it away.
    std::vector<int32_t> words(flat.begin(), flat.begin() + static_cast<int64_t>(length));
    words.push_back(checksum(words));
    if (length + 1 < flat.size()) CHECK_THROWS_AS(StepPlan::decode_from(words), Error);
  }
}

TEST_CASE("words of any value behind a good checksum throw or decode, and never crash") {
  std::mt19937 rng(11);
  auto nasty = [&]() -> int32_t {
    switch (rng() % 5) {
      case 0:
        return -1;
      case 1:
        return INT32_MAX;
      case 2:
        return INT32_MIN;
      case 3:
        return static_cast<int32_t>(rng() % 40);
      default:
        return static_cast<int32_t>(rng());
    }
  };
  int64_t refused = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::vector<int32_t> words = PlanMaker(seed % 50).make(4).encode();
    words.pop_back();
    for (size_t changes = 1 + rng() % 3; changes > 0; --changes)
      words[rng() % words.size()] = nasty();
    words.push_back(checksum(words));
    try {
      StepPlan::decode_from(words);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("trailing words and unknown kinds are refused") {
  std::vector<int32_t> words = StepPlan{}.encode();
  words.back() = 0;
  words.push_back(checksum(words));
  CHECK_THROWS_AS(StepPlan::decode_from(words), Error);
  for (int32_t kind : {-1, 3, INT32_MAX}) {
    words = StepPlan{}.encode();
    words[1] = kind;
    words.pop_back();
    words.push_back(checksum(words));
    CHECK_THROWS_AS(StepPlan::decode_from(words), Error);
  }
}
