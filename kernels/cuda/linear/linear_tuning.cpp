#include "kernels/cuda/linear/linear_tuning.h"

#include <algorithm>

#include "kernels/cuda/linear/linear.h"

namespace ll::cuda {
namespace {

struct Watched {
  LinearKey key;
  int num_products;
};
bool is_watching = false;
std::vector<Watched> watched;

void watch(Stream) {
  is_watching = true;
  watched.clear();
}

LinearChoice& choice_of(int shape) {
  return *find_choice(watched.at(static_cast<size_t>(shape)).key);
}

std::vector<std::vector<std::string>> ways(Stream) {
  is_watching = false;
  std::erase_if(watched, [](const Watched& w) { return w.num_products < 2; });
  std::vector<std::vector<std::string>> names(watched.size());
  for (size_t i = 0; i < watched.size(); ++i)
    for (const LinearWay& way : find_choice(watched[i].key)->ways) names[i].push_back(way.name);
  return names;
}

void choose(Stream, int shape, int way, bool is_early) {
  LinearChoice& choice = choice_of(shape);
  choice.chosen = static_cast<size_t>(way);
  choice.ways.at(choice.chosen).is_early = is_early;
}

std::string describe(Stream, int shape) {
  const LinearWay& way = choice_of(shape).way();
  return fmt::format("{}: {}{}", watched[static_cast<size_t>(shape)].key.str(), way.name,
                     way.is_early && way.kernel && way.kernel->early ? "e" : "");
}

void add_other_kernels(LinearChoice& choice, const LinearArgs& a) {
  choice.is_final = true;
  for (const LinearKernel* k : other_tile_kernels(a)) choice.ways.push_back({k->name, k});
}

}  // namespace

const LinearTuning& linear_tuning() {
  static const LinearTuning tuning{linear_buckets, watch, ways, choose, describe};
  return tuning;
}

void note_product(const LinearKey& key, const LinearArgs& a) {
  if (!is_watching) return;
  auto same = [&](const Watched& w) { return w.key == key; };
  auto known = std::find_if(watched.begin(), watched.end(), same);
  if (known != watched.end()) {
    ++known->num_products;
    return;
  }
  LinearChoice& choice = *find_choice(key);
  if (choice.is_final) return;
  add_other_kernels(choice, a);
  watched.push_back({key, 1});
}

}  // namespace ll::cuda
