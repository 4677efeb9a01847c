#include "model/text/jinja/syntax/scope.h"

#include <algorithm>

namespace ll::jinja {

SlotRef Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
    auto found = scope->slots_.find(name);
    if (found == scope->slots_.end()) continue;
    int depth = 0;
    for (const FunctionScope* f = function_; f != scope->function_; f = f->parent) ++depth;
    return {depth, found->second};
  }
  return {};
}

// As this scope's function sees what its parent scopes have.
SlotRef Scope::find_outside(std::string_view name) const {
  if (parent_ == nullptr) return {};
  SlotRef outer = parent_->find(name);
  if (outer.slot >= 0 && parent_->function_ != function_) ++outer.depth;
  return outer;
}

int Scope::context_index(std::string_view name, Program& program) {
  auto& names = program.context_names;
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) found = names.insert(names.end(), name);
  return static_cast<int>(found - names.begin());
}

int Scope::define(std::string_view name, Load load) {
  load.slot = function_->num_slots++;
  slots_[name] = load.slot;
  loads_[load.slot] = load;
  return load.slot;
}

void Scope::load(std::string_view name, Program& program) {
  if (find(name).slot >= 0) return;
  define(name,
         {.from = Load::From::kContext, .context = context_index(name, program), .source = {}});
}

void Scope::store(std::string_view name) {
  stores_.insert(name);
  if (slots_.contains(name)) return;
  SlotRef outer = find_outside(name);
  if (outer.slot >= 0)
    define(name, {.from = Load::From::kSlot, .source = outer});
  else
    define(name, {.from = Load::From::kMissing, .source = {}});
}

int Scope::declare_parameter(std::string_view name) {
  stores_.insert(name);
  auto found = slots_.find(name);
  if (found != slots_.end()) return found->second;
  int slot = function_->num_slots++;
  slots_[name] = slot;
  return slot;
}

void Scope::merge_branches(const std::vector<Scope>& branches, Program& program) {
  std::set<std::string_view> set_in_a_branch;
  for (const Scope& branch : branches)
    for (std::string_view name : branch.stores_)
      if (!stores_.contains(name)) set_in_a_branch.insert(name);
  for (const Scope& branch : branches) {
    for (auto [name, slot] : branch.slots_) slots_[name] = slot;
    for (const auto& [slot, load] : branch.loads_) loads_[slot] = load;
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  for (std::string_view name : set_in_a_branch) {
    Load& load = loads_[slots_.at(name)];
    load.slot = slots_.at(name);
    SlotRef outer = find_outside(name);
    load.from = outer.slot >= 0 ? Load::From::kSlot : Load::From::kContext;
    if (outer.slot >= 0)
      load.source = outer;
    else
      load.context = context_index(name, program);
  }
}

Loads Scope::loads() const {
  Loads loads;
  for (const auto& [slot, load] : loads_) loads.push_back(load);
  return loads;
}

}  // namespace ll::jinja
