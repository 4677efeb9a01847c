// Filters, tests, methods, functions and macros of a template.
#include <algorithm>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

// The values of a call's arguments; few of them need no memory but the caller's.
class PassedArguments {
 public:
  void add(const Value& value) { positional_.push_back(value); }
  void add(std::string_view name, const Value& value) { named_.push_back({name, value}); }
  Arguments view() const { return {positional_, named_}; }

 private:
  std::vector<Value> positional_;
  std::vector<NamedValue> named_;
};

void add_all(PassedArguments& passed, const Value& value) {
  Cursor cursor(value);
  for (Value item; cursor.next(item);) passed.add(item);
}

void add_named(PassedArguments& passed, const Value& value) {
  if (!value.is(Kind::kDict)) fail("argument after ** must be a mapping, not {}", type_name(value));
  for (const Dict::Entry& entry : value.dict().entries()) {
    check(entry.key.is(Kind::kString), "keywords must be strings");
    passed.add(entry.key.text(), entry.value);
  }
}

const Builtin& known(const Builtin* builtin, std::string_view kind, std::string_view name) {
  check(builtin != nullptr, "No {} named '{}' found.", kind, printable(name, 40));
  return *builtin;
}

}  // namespace

const Builtin& Evaluator::filter_named(const Value& name) {
  std::string_view text = text_argument(name);
  return known(program_.builtins.filter(text), "filter", text);
}

const Builtin& Evaluator::test_named(const Value& name) {
  std::string_view text = text_argument(name);
  return known(program_.builtins.test(text), "test", text);
}

Value Evaluator::call_with(const Value& callee, const Expr& expr, const Value& caller) {
  PassedArguments passed;
  for (const Argument& argument : expr.arguments) {
    Value value = eval(*argument.value);
    if (argument.stars == 1)
      add_all(passed, value);
    else if (argument.stars == 2)
      add_named(passed, value);
    else if (argument.name.empty())
      passed.add(value);
    else
      passed.add(argument.name, value);
  }
  if (!caller.is_missing()) passed.add("caller", caller);
  line_ = expr.line;
  return call(callee, passed.view());
}

// A method of a value is called without becoming a value itself.
Value Evaluator::eval_call(const Expr& expr, const Value& caller) {
  if (expr.a->kind != Expr::Kind::kAttribute) return call_with(eval(*expr.a), expr, caller);
  Value object = eval(*expr.a->a);
  const Builtin* builtin = method_of(object, expr.a->methods);
  if (builtin == nullptr || builtin->is_unsafe())
    return call_with(attribute(object, expr.a->name, expr.a->methods), expr, caller);
  Method method{object, builtin};
  return call_with(Value::of(&method), expr, caller);
}

Value Evaluator::eval_filter(const Expr& expr, const Value& input) {
  if (expr.arguments.empty() && expr.builtin != nullptr) {
    line_ = expr.line;
    return call(*expr.builtin, input, {});
  }
  Method filter{input, &known(expr.builtin, "filter", expr.name)};
  return call_with(Value::of(&filter), expr);
}

// In a filter block or a set block the innermost filter takes the text.
Value Evaluator::eval_filter_chain(const Expr& expr, const Value& input) {
  Level level(*this);
  return eval_filter(expr, expr.a ? eval_filter_chain(*expr.a, input) : input);
}

Value Evaluator::eval_test(const Expr& expr) {
  Value input = eval(*expr.a);
  if (expr.arguments.empty() && expr.builtin != nullptr) return call(*expr.builtin, input, {});
  Method test{input, &known(expr.builtin, "test", expr.name)};
  return call_with(Value::of(&test), expr);
}

Value Evaluator::call(const Value& callee, const Arguments& arguments) {
  switch (callee.kind()) {
    case Kind::kMethod:
      return call(*callee.method().builtin, callee.method().self, arguments);
    case Kind::kFunction:
      return call(callee.function(), Value::none(), arguments);
    case Kind::kMacro:
      return call_macro(callee.macro(), arguments);
    case Kind::kUndefined:
      raise_undefined(callee);
    case Kind::kLoop:
      fail(
          "Tried to call non recursive loop.  Maybe you forgot the 'recursive' modifier in the "
          "loop?");
    default:
      fail("'{}' object is not callable", type_name(callee));
  }
}

Value Evaluator::call(const Builtin& builtin, const Value& self, const Arguments& arguments) {
  charge(1);
  if (self.is(Kind::kString)) charge(self.text().size() / 16);
  if (self.is(Kind::kSequence)) charge(self.sequence().items.size());
  if (builtin.run != nullptr) return builtin.run(*this, self, bind(builtin, arguments));
  return builtin.run_all(*this, self, arguments);
}

Value Evaluator::call_macro(const MacroValue& value, const Arguments& arguments) {
  Level level(*this);
  const Macro& macro = *value.macro;
  auto num_slots = static_cast<size_t>(macro.num_slots);
  Value* slots = arena_.array<Value>(num_slots);
  std::fill(slots, slots + num_slots, Value());
  auto* inner = arena_.make<Activation>(slots, value.closure);
  Activation* outer = std::exchange(here_, inner);
  Value text;
  {
    Capture capture(*this);
    load(macro.loads);
    bind_macro(macro, arguments);
    run(macro.body);
    text = capture.take();
  }
  here_ = outer;
  return text;
}

void Evaluator::bind_macro(const Macro& macro, const Arguments& arguments) {
  size_t num = macro.parameters.size(), given = arguments.positional.size();
  for (size_t i = 0; i < std::min(num, given); ++i)
    slot(macro.parameters[i]->slot) = arguments.positional[i];
  check(given <= num || macro.varargs >= 0, "macro '{}' takes not more than {} argument(s)",
        macro.name, num);
  if (macro.varargs >= 0)
    here_->slots[macro.varargs] =
        list(arguments.positional.subspan(std::min(num, given)), Sequence::Flavor::kTuple);
  Dict* others = arena_.make<Dict>();
  for (const NamedValue& named : arguments.named) {
    auto parameter = std::find_if(macro.parameters.begin(), macro.parameters.end(),
                                  [&](const Expr* p) { return p->name == named.name; });
    if (parameter != macro.parameters.end()) {
      slot((*parameter)->slot) = named.value;
    } else if (named.name == "caller" && macro.caller >= 0) {
      here_->slots[macro.caller] = named.value;
    } else {
      check(macro.kwargs >= 0, "macro '{}' takes no keyword argument '{}'", macro.name, named.name);
      others->put(arena_, Value::string(named.name), named.value);
    }
  }
  if (macro.kwargs >= 0) here_->slots[macro.kwargs] = Value::of(others);
  if (macro.caller >= 0 && here_->slots[macro.caller].is_missing())
    here_->slots[macro.caller] = undefined("No caller defined");
  size_t without = num - macro.defaults.size();
  for (size_t i = 0; i < num; ++i) {
    Value& parameter = slot(macro.parameters[i]->slot);
    if (!parameter.is_missing()) continue;
    parameter =
        i >= without
            ? eval(*macro.defaults[i - without])
            : undefined(fmt::format("parameter '{}' was not provided", macro.parameters[i]->name));
  }
}

}  // namespace ll::jinja
