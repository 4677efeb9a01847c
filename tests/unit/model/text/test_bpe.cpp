#include "model/text/bpe.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <utility>

#include "tests/support/seconds_of.h"

namespace {

using Ids = std::vector<int32_t>;
using ll::test::seconds_of;

// Bytes are their own tokens; merge number i makes token 256 + i.
struct Model {
  std::vector<ll::Bpe::Merge> merges;
  ll::Bpe bpe;

  explicit Model(std::vector<ll::Bpe::Merge> list) : merges(std::move(list)), bpe(make(merges)) {}

  static ll::Bpe make(const std::vector<ll::Bpe::Merge>& merges) {
    std::array<int32_t, 256> bytes;
    for (int32_t i = 0; i < 256; ++i) bytes[size_t(i)] = i;
    return ll::Bpe(bytes, merges);
  }
  Ids encode(std::string_view word) const {
    ll::Bpe::Scratch scratch;
    Ids ids;
    bpe.encode(word, scratch, ids);
    return ids;
  }
  // The definition: join the leftmost pair of the lowest rank until none is left.
  Ids encode_by_definition(std::string_view word) const {
    std::map<std::pair<int32_t, int32_t>, size_t> ranks;
    for (size_t i = 0; i < merges.size(); ++i) ranks[{merges[i].left, merges[i].right}] = i;
    Ids ids;
    for (char c : word) ids.push_back(static_cast<unsigned char>(c));
    for (;;) {
      size_t best = merges.size(), place = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        auto found = ranks.find({ids[i], ids[i + 1]});
        if (found != ranks.end() && found->second < best) best = found->second, place = i;
      }
      if (best == merges.size()) return ids;
      ids[place] = merges[best].result;
      ids.erase(ids.begin() + ptrdiff_t(place) + 1);
    }
  }
};

// Merges of random earlier tokens over the letters a to d.
Model random_model(std::mt19937& random, int32_t num_merges) {
  std::vector<int32_t> tokens = {'a', 'b', 'c', 'd'};
  std::map<std::pair<int32_t, int32_t>, bool> used;
  std::vector<ll::Bpe::Merge> merges;
  while (int32_t(merges.size()) < num_merges) {
    int32_t left = tokens[random() % tokens.size()];
    int32_t right = tokens[random() % std::min<size_t>(tokens.size(), 8)];
    if (std::exchange(used[{left, right}], true)) continue;
    int32_t result = 256 + int32_t(merges.size());
    merges.push_back({left, right, result});
    tokens.push_back(result);
  }
  return Model(merges);
}

}  // namespace

TEST_CASE("bpe: no word, no merge") {
  Model model({});
  CHECK(model.encode("") == Ids{});
  CHECK(model.encode("a") == Ids{'a'});
  CHECK(model.encode("ab\xff") == Ids{'a', 'b', 255});
}

TEST_CASE("bpe: the merge of lowest rank goes first, the leftmost of equals") {
  Model model({{'b', 'c', 256}, {'a', 'b', 257}, {257, 'c', 258}, {'a', 'a', 259}});
  CHECK(model.encode("abc") == Ids{'a', 256});
  CHECK(model.encode("abab") == Ids{257, 257});
  CHECK(model.encode("aaa") == Ids{259, 'a'});
}

TEST_CASE("bpe: of equal pairs the last merge stands") {
  Model model({{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 256}});
  CHECK(model.encode("abc") == Ids{'a', 257});
}

TEST_CASE("bpe: equals its definition on random models and words") {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    Model model = random_model(random, 1 + int32_t(random() % 60));
    for (int i = 0; i < 40; ++i) {
      std::string word(random() % 50, ' ');
      for (char& c : word) c = char('a' + random() % 4);
      CHECK(model.encode(word) == model.encode_by_definition(word));
    }
  }
}

TEST_CASE("bpe: a scratch serves words of any size in turn") {
  Model model({{'a', 'a', 256}, {256, 256, 257}});
  ll::Bpe::Scratch scratch;
  Ids ids;
  for (size_t n : {9, 1, 4, 0, 2}) model.bpe.encode(std::string(n, 'a'), scratch, ids);
  CHECK(ids == Ids{257, 257, 'a', 'a', 257, 256});
}

TEST_CASE("bpe: a word of a megabyte takes no quadratic time") {
  std::vector<ll::Bpe::Merge> merges = {{'a', 'a', 256}};
  for (int32_t i = 0; i < 16; ++i) merges.push_back({256 + i, 256 + i, 257 + i});
  Model model(merges);
  Ids ids;
  CHECK(seconds_of([&] { ids = model.encode(std::string(1 << 20, 'a')); }) < 20);
  CHECK(ids == Ids(8, 272));
}
