#pragma once
// The names of one scope while a template is compiled.
#include <map>
#include <set>
#include <string_view>

#include "model/text/jinja/syntax/syntax.h"

namespace ll::jinja {

// A macro, a call block, or the template itself: what has variables of its own at each call.
struct FunctionScope {
  FunctionScope* parent = nullptr;
  int num_slots = 0;
};

class Scope {
 public:
  Scope(Scope* parent, FunctionScope& function) : parent_(parent), function_(&function) {}

  FunctionScope& function() const { return *function_; }
  // The variable as this scope's function sees it; its slot is -1 when no scope has the name.
  SlotRef find(std::string_view name) const;

  void load(std::string_view name, Program& program);
  void store(std::string_view name);
  int declare_parameter(std::string_view name);
  // After the branches of an if, each analysed in a copy of this scope: what a branch sets has its
  // outer value where that branch is not taken.
  void merge_branches(const std::vector<Scope>& branches, Program& program);

  Loads loads() const;

 private:
  int define(std::string_view name, Load load);
  SlotRef find_outside(std::string_view name) const;
  static int context_index(std::string_view name, Program& program);

  Scope* parent_;
  FunctionScope* function_;
  std::map<std::string_view, int> slots_;  // by name
  std::map<int, Load> loads_;              // by slot
  std::set<std::string_view> stores_;
};

}  // namespace ll::jinja
