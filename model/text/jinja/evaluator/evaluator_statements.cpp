#include "base/check.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

// The items of a loop that pass its condition.
class LoopFilter final : public Iterator {
 public:
  LoopFilter(Evaluator& evaluator, const Stmt& loop, const Value& items)
      : evaluator_(&evaluator), loop_(&loop), items_(items), frame_(evaluator.here_) {}

  bool next(Value& item) override {
    while (items_.next(item)) {
      evaluator_->charge(1);
      Activation* before = std::exchange(evaluator_->here_, frame_);
      evaluator_->assign(*loop_->condition_target, item);
      evaluator_->load(loop_->condition_loads);
      bool passes = is_true(evaluator_->eval(*loop_->condition));
      evaluator_->here_ = before;
      if (passes) return true;
    }
    return false;
  }

 private:
  Evaluator* evaluator_;
  const Stmt* loop_;
  Cursor items_;
  Activation* frame_;
};

Evaluator::Flow Evaluator::run(const Block& block) {
  for (const Stmt* stmt : block)
    if (Flow flow = run(*stmt); flow != Flow::kNormal) return flow;
  return Flow::kNormal;
}

Evaluator::Flow Evaluator::run(const Stmt& stmt) {
  Level level(*this);
  charge(1);
  line_ = stmt.line;
  switch (stmt.kind) {
    case Stmt::Kind::kText:
      print(stmt.text);
      break;
    case Stmt::Kind::kPrint:
      print(eval(*stmt.value));
      break;
    case Stmt::Kind::kFor:
      return run_for(stmt);
    case Stmt::Kind::kIf:
      return run_if(stmt);
    case Stmt::Kind::kSet:
      assign(*stmt.target, eval(*stmt.value));
      break;
    case Stmt::Kind::kMacro:
      slot(stmt.target->slot) = macro_value(*stmt.macro);
      break;
    case Stmt::Kind::kCallBlock:
      run_call_block(stmt);
      break;
    case Stmt::Kind::kSetBlock:
    case Stmt::Kind::kFilterBlock:
    case Stmt::Kind::kScope:
      return run_inner(stmt);
    case Stmt::Kind::kWith:
      run_with(stmt);
      return run(stmt.body);
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

Evaluator::Flow Evaluator::run_if(const Stmt& stmt) {
  if (is_true(eval(*stmt.value))) return run(stmt.body);
  if (!stmt.otherwise.empty()) return run(stmt.otherwise);
  return Flow::kNormal;
}

Evaluator::Flow Evaluator::run_for(const Stmt& stmt) {
  Value items = eval(*stmt.value);
  if (stmt.condition != nullptr)
    items = Value::of(static_cast<Iterator*>(arena_.make<LoopFilter>(*this, stmt, items)));
  auto* loop = arena_.make<LoopState>(items, num_loops_, arena_);
  ++num_loops_;
  bool is_empty = true;  // or left before a first pass was whole, which is the same to Jinja
  for (Value item; loop->advance(item);) {
    charge(1);
    here_->slots[stmt.loop_slot] = Value::of(loop);
    assign(*stmt.target, item);
    load(stmt.loads);
    Flow flow = run(stmt.body);
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNormal) is_empty = false;
  }
  --num_loops_;
  if (!is_empty || stmt.otherwise.empty()) return Flow::kNormal;
  load(stmt.otherwise_loads);
  return run(stmt.otherwise);
}

// Set blocks, filter blocks, generation: their variables are theirs alone.
Evaluator::Flow Evaluator::run_inner(const Stmt& stmt) {
  load(stmt.loads);
  if (stmt.kind == Stmt::Kind::kScope) return run(stmt.body);
  Value text;
  Flow flow = Flow::kNormal;
  {
    Capture capture(*this);
    flow = run(stmt.body);
    text = capture.take();
  }
  if (stmt.value != nullptr) text = eval_filter_chain(*stmt.value, text);
  if (stmt.kind == Stmt::Kind::kFilterBlock)
    print(text);
  else
    assign(*stmt.target, text);
  return flow;
}

void Evaluator::run_with(const Stmt& stmt) {
  std::vector<Value> values;
  for (const auto& [target, value] : stmt.bindings) values.push_back(eval(*value));
  load(stmt.loads);
  for (size_t i = 0; i < values.size(); ++i) assign(*stmt.bindings[i].first, values[i]);
}

void Evaluator::run_call_block(const Stmt& stmt) {
  print(eval_call(*stmt.value, macro_value(*stmt.macro)));
}

void Evaluator::assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::kName) {
    slot(target.slot) = value;
    return;
  }
  if (target.kind == Expr::Kind::kNamespaceRef) return assign_attribute(target, value);
  if (!Cursor::can_walk(value)) fail("cannot unpack non-iterable {} object", type_name(value));
  std::span<const Value> items = items_of(value, arena_);
  size_t wanted = target.items.size();
  check(items.size() <= wanted, "too many values to unpack (expected {})", wanted);
  check(items.size() == wanted, "not enough values to unpack (expected {}, got {})", wanted,
        items.size());
  for (size_t i = 0; i < wanted; ++i) assign(*target.items[i], items[i]);
}

void Evaluator::assign_attribute(const Expr& target, const Value& value) {
  Value& ns = slot(target.slot);
  check(ns.is(Kind::kNamespace), "cannot assign attribute on non-namespace object");
  check_attribute_name(target.value.text());
  ns.ns().attributes.put(arena_, target.value, value);
}

}  // namespace ll::jinja
