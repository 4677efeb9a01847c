#include "kernels/cuda/linear/linear_choices.h"

#include <algorithm>

#include "kernels/cuda/device/workspace.h"
#include "kernels/cuda/linear/linear.h"

namespace ll::cuda {
namespace {

void add_other_kernels(LinearChoice& choice, const LinearArgs& a) {
  choice.is_final = true;
  for (const LinearKernel* k : other_tile_kernels(a)) choice.ways.push_back({k->name, k});
}

void watch(Stream stream) { linear_choices(stream).watch(); }
std::vector<std::vector<std::string>> ways(Stream stream) { return linear_choices(stream).ways(); }
void choose(Stream stream, int shape, int way, bool is_early) {
  linear_choices(stream).choose(shape, way, is_early);
}
std::string describe(Stream stream, int shape) { return linear_choices(stream).describe(shape); }

}  // namespace

LinearChoice* LinearChoices::find(const LinearKey& key) {
  auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &found->second;
}

LinearChoice& LinearChoices::keep(const LinearKey& key, LinearChoice choice) {
  return by_key_.insert_or_assign(key, std::move(choice)).first->second;
}

void LinearChoices::note(const LinearKey& key, const LinearArgs& a) {
  if (!is_watching_) return;
  auto same = [&](const Watched& w) { return w.key == key; };
  auto known = std::find_if(watched_.begin(), watched_.end(), same);
  if (known != watched_.end()) {
    ++known->num_products;
    return;
  }
  LinearChoice& choice = *find(key);
  if (choice.is_final) return;
  add_other_kernels(choice, a);
  watched_.push_back({key, 1});
}

void LinearChoices::watch() {
  is_watching_ = true;
  watched_.clear();
}

std::vector<std::vector<std::string>> LinearChoices::ways() {
  is_watching_ = false;
  std::erase_if(watched_, [](const Watched& w) { return w.num_products < 2; });
  std::vector<std::vector<std::string>> names(watched_.size());
  for (size_t i = 0; i < watched_.size(); ++i)
    for (const LinearWay& way : find(watched_[i].key)->ways) names[i].push_back(way.name);
  return names;
}

void LinearChoices::choose(int shape, int way, bool is_early) {
  LinearChoice& choice = watched_choice(shape);
  choice.chosen = static_cast<size_t>(way);
  choice.ways.at(choice.chosen).is_early = is_early;
}

std::string LinearChoices::describe(int shape) {
  const LinearWay& way = watched_choice(shape).way();
  return fmt::format("{}: {}{}", watched_[static_cast<size_t>(shape)].key.str(), way.name,
                     way.is_early && way.kernel && way.kernel->early ? "e" : "");
}

LinearChoice& LinearChoices::watched_choice(int shape) {
  return *find(watched_.at(static_cast<size_t>(shape)).key);
}

LinearChoices& linear_choices(Stream stream) {
  std::shared_ptr<LinearChoices>& choices = workspace_of(stream).linear_choices;
  if (!choices) choices = std::make_shared<LinearChoices>();
  return *choices;
}

const LinearTuning& linear_tuning() {
  static const LinearTuning tuning{.buckets = linear_buckets,
                                   .watch = watch,
                                   .ways = ways,
                                   .choose = choose,
                                   .describe = describe};
  return tuning;
}

}  // namespace ll::cuda
