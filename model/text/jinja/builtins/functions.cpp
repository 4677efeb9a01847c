// What a template may call by name, and the methods of `loop`.
#include <algorithm>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/clock.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

constexpr int64_t kMaxRange = 100'000;  // of Jinja's sandbox

Value raise_exception(Evaluator&, const Value&, const Bound& bound) {
  fail("{}", to_str(bound[0]));
}

Value strftime_now(Evaluator& e, const Value&, const Bound& bound) {
  return e.text(format_now(text_argument(bound[0])));
}

Value range(Evaluator& e, const Value&, const Bound& bound) {
  bool has_stop = !bound[1].is_missing();
  int64_t start = has_stop ? int_argument(bound[0]) : 0;
  int64_t stop = int_argument(has_stop ? bound[1] : bound[0]);
  int64_t step = int_argument(bound[2], 1);
  check(step != 0, "range() arg 3 must not be zero");
  double length =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  check(length <= kMaxRange, "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
        kMaxRange);
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
    items.push_back(Value::integer(i));
  e.charge(items.size());
  Value kept = e.list(items);
  return Value::of(
      e.arena().make<Sequence>(kept.sequence().items, Sequence::Flavor::kRange, start, stop, step));
}

// The entries of a dict, or pairs.
void put_entries(Dict& dict, const Value& source, Arena& arena) {
  if (source.is(Kind::kDict)) {
    for (const Dict::Entry& entry : source.dict().entries())
      dict.put(arena, entry.key, entry.value);
    return;
  }
  Cursor cursor(source);
  for (Value pair; cursor.next(pair);) {
    std::span<const Value> parts = items_of(pair, arena);
    check(parts.size() == 2,
          "dictionary update sequence has an element of length {}; 2 is required", parts.size());
    dict.put(arena, parts[0], parts[1]);
  }
}

void fill(Dict& dict, Evaluator& e, const Arguments& arguments) {
  check(arguments.positional.size() <= 1, "dict expected at most 1 argument, got {}",
        arguments.positional.size());
  for (const Value& source : arguments.positional) put_entries(dict, source, e.arena());
  for (const NamedValue& named : arguments.named)
    dict.put(e.arena(), Value::string(named.name), named.value);
}

Value dict(Evaluator& e, const Value&, const Arguments& arguments) {
  Dict* made = e.arena().make<Dict>();
  fill(*made, e, arguments);
  return Value::of(made);
}

Value make_namespace(Evaluator& e, const Value&, const Arguments& arguments) {
  auto* ns = e.arena().make<NamespaceValue>();
  fill(ns->attributes, e, arguments);
  for (const Dict::Entry& entry : ns->attributes.entries())
    if (entry.key.is(Kind::kString)) check_attribute_name(entry.key.text());
  return Value::of(ns);
}

Value self_reference(Evaluator&, const Value&, const Bound&) {
  fail("'TemplateReference' object is not callable");
}

Value cycle(Evaluator&, const Value& self, const Arguments& arguments) {
  check(!arguments.positional.empty(), "no items for cycling given");
  auto at = static_cast<size_t>(self.loop().index0);
  return arguments.positional[at % arguments.positional.size()];
}

Value loop_changed(Evaluator& e, const Value& self, const Arguments& arguments) {
  Value now = e.list(arguments.positional, Sequence::Flavor::kTuple);
  LoopState& loop = self.loop();
  bool differs = loop.changed.is_missing() || !equals(loop.changed, now);
  loop.changed = now;
  return Value::boolean(differs);
}

constexpr Builtin kFunctions[] = {
    {.name = "dict", .run_all = dict},
    {.name = "namespace", .run_all = make_namespace},
    {.name = "raise_exception", .run = raise_exception, .required = 1, .parameters = {"message"}},
    {.name = "range", .run = range, .required = 1, .parameters = {"start", "stop", "step"}},
    {.name = "self", .run = self_reference},
    {.name = "strftime_now", .run = strftime_now, .required = 1, .parameters = {"format"}},
};

constexpr Builtin kLoopMethods[] = {
    {.name = "changed", .run_all = loop_changed},
    {.name = "cycle", .run_all = cycle},
};

}  // namespace

std::span<const Builtin> functions() { return kFunctions; }
std::span<const Builtin> loop_methods() { return kLoopMethods; }

void check_attribute_name(std::string_view name) {
  check(!name.starts_with('_'),
        "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{}'. "
        "Please rename the attribute.",
        printable(name, 40));
}

}  // namespace ll::jinja
