#include "model/text/jinja/evaluator/evaluator.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

void Evaluator::Level::refuse() {
  fail("macros or expressions are nested deeper than {} levels", kMaxDepth);
}

Value Evaluator::Capture::take() { return evaluator_.text(text_); }

Evaluator::Evaluator(const Program& program, const JsonTree& variables, const RenderLimits& limits)
    : program_(program),
      meter_(limits.steps),
      arena_(limits.memory_bytes),
      limits_(limits),
      output_left_(limits.output_bytes) {
  for (std::string_view name : program.context_names) {
    Value value;
    if (const JsonTree* given = variables.member(name))
      value = value_of_json(*given, arena_);
    else if (const Builtin* function = program.builtins.function(name))
      value = Value::of(function);
    context_.push_back(value);
  }
}

std::string Evaluator::run() {
  std::string out;
  out_ = &out;
  std::vector<Value> slots(static_cast<size_t>(program_.num_slots));
  Activation top{slots.data(), nullptr};
  here_ = &top;
  try {
    load(program_.loads);
    run(program_.body);
  } catch (const Error& e) {
    fail("{}, line {}: {}", program_.name, line_, e.what());
  }
  return out;
}

void Evaluator::print(std::string_view text) {
  check(text.size() <= output_left_, "it prints more than {} bytes", limits_.output_bytes);
  output_left_ -= text.size();
  out_->append(text);
}

void Evaluator::print(const Value& value) {
  if (value.is(Kind::kString)) return print(value.text());
  print(to_str(value));
}

void Evaluator::load(const Loads& loads) {
  for (const Load& load : loads) {
    Value& slot = here_->slots[load.slot];
    if (load.from == Load::From::kContext)
      slot = context_[static_cast<size_t>(load.context)];
    else if (load.from == Load::From::kSlot)
      slot = this->slot(load.source);
    else
      slot = Value();
  }
}

Value& Evaluator::slot(SlotRef ref) {
  Activation* at = here_;
  for (int i = 0; i < ref.depth; ++i) at = at->parent;
  return at->slots[ref.slot];
}

Value Evaluator::list(std::span<const Value> items, Sequence::Flavor flavor) {
  Value* kept = arena_.array<Value>(items.size());
  std::copy(items.begin(), items.end(), kept);
  return Value::of(arena_.make<Sequence>(std::span<const Value>(kept, items.size()), flavor));
}

Value Evaluator::undefined(std::string_view message) {
  return Value::undefined(arena_.make<Undefined>(Undefined::Reason::kHint, arena_.copy(message)));
}

Value value_of_json(const JsonTree& tree, Arena& arena) {
  switch (tree.kind) {
    case JsonTree::Kind::kNull:
      return Value::none();
    case JsonTree::Kind::kBool:
      return Value::boolean(tree.text == "true");
    case JsonTree::Kind::kNumber:
      if (std::optional<int64_t> integer = tree.integer()) return Value::integer(*integer);
      if (tree.text.find_first_not_of("-0123456789") == std::string::npos)
        return Value::big_integer(tree.text);
      return Value::real(std::strtod(tree.text.c_str(), nullptr));
    case JsonTree::Kind::kString:
      return Value::string(tree.text);
    case JsonTree::Kind::kArray: {
      Value* items = arena.array<Value>(tree.members.size());
      for (size_t i = 0; i < tree.members.size(); ++i)
        items[i] = value_of_json(tree.members[i].value, arena);
      return Value::of(arena.make<Sequence>(std::span<const Value>(items, tree.members.size())));
    }
    default: {
      Dict* dict = arena.make<Dict>();
      dict->reserve(arena, tree.members.size());
      for (const JsonTree::Member& member : tree.members)
        dict->put(arena, Value::string(member.key), value_of_json(member.value, arena));
      return Value::of(dict);
    }
  }
}

}  // namespace ll::jinja
