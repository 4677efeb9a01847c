#include "base/check.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

Value Evaluator::eval(const Expr& expr) {
  Level level(*this);
  charge(1);
  switch (expr.kind) {
    case Expr::Kind::kConstant:
      return expr.value;
    case Expr::Kind::kName:
    case Expr::Kind::kNamespaceRef:
      return eval_name(expr);
    case Expr::Kind::kAttribute:
      return attribute(eval(*expr.a), expr.name, expr.methods);
    case Expr::Kind::kItem: {
      Value object = eval(*expr.a);
      return item(object, eval(*expr.b));
    }
    case Expr::Kind::kSlice:
      return eval_slice(expr);
    case Expr::Kind::kCall:
      return eval_call(expr);
    case Expr::Kind::kFilter:
      return eval_filter(expr, eval(*expr.a));
    case Expr::Kind::kTest:
      return eval_test(expr);
    case Expr::Kind::kNot:
      return Value::boolean(!is_true(eval(*expr.a)));
    case Expr::Kind::kNegative:
      return negate(eval(*expr.a));
    case Expr::Kind::kPositive:
      return positive(eval(*expr.a));
    case Expr::Kind::kCompute:
      return eval_compute(expr);
    case Expr::Kind::kAnd: {
      Value left = eval(*expr.a);
      return is_true(left) ? eval(*expr.b) : left;
    }
    case Expr::Kind::kOr: {
      Value left = eval(*expr.a);
      return is_true(left) ? left : eval(*expr.b);
    }
    case Expr::Kind::kCompare:
      return eval_compare(expr);
    case Expr::Kind::kConcat:
      return eval_concat(expr);
    case Expr::Kind::kCondition:
      return eval_condition(expr);
    case Expr::Kind::kList:
      return eval_items(expr, Sequence::Flavor::kList);
    case Expr::Kind::kTuple:
      return eval_items(expr, Sequence::Flavor::kTuple);
    case Expr::Kind::kDict:
      return eval_dict(expr);
  }
  return Value();
}

Value Evaluator::eval_name(const Expr& expr) {
  const Value& value = slot(expr.slot);
  if (!value.is_missing()) return value;
  return Value::undefined(arena_.make<Undefined>(Undefined::Reason::kName, expr.name));
}

Value Evaluator::eval_compute(const Expr& expr) {
  Value a = eval(*expr.a), b = eval(*expr.b);
  if (b.is(Kind::kString)) charge(b.text().size() / 64);
  if (b.is(Kind::kSequence)) charge(b.sequence().items.size());
  line_ = expr.line;
  return compute(expr.op, a, b, arena_);
}

Value Evaluator::eval_compare(const Expr& expr) {
  Value left = eval(*expr.a);
  for (const auto& [op, operand] : expr.comparisons) {
    Value right = eval(*operand);
    if (left.is(Kind::kString)) charge(left.text().size() / 64);
    if (right.is(Kind::kString)) charge(right.text().size() / 64);
    if (right.is(Kind::kSequence)) charge(right.sequence().items.size());
    if (!holds(op, left, right)) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

Value Evaluator::eval_concat(const Expr& expr) {
  Value joined = Value::string("");
  for (const Expr* item : expr.items) {
    Value part = eval(*item);
    Value shown = part.is(Kind::kString) ? part : text(to_str(part));
    charge(shown.text().size() / 64);
    joined = concatenate(joined.text(), shown.text(), false, arena_);
  }
  return joined;
}

Value Evaluator::eval_condition(const Expr& expr) {
  if (is_true(eval(*expr.a))) return eval(*expr.b);
  if (expr.c != nullptr) return eval(*expr.c);
  return undefined(fmt::format(
      "the inline if-expression on line {} evaluated to false and no else section was defined.",
      expr.line));
}

Value Evaluator::eval_items(const Expr& expr, Sequence::Flavor flavor) {
  Value* items = arena_.array<Value>(expr.items.size());
  for (size_t i = 0; i < expr.items.size(); ++i) items[i] = eval(*expr.items[i]);
  std::span<const Value> all(items, expr.items.size());
  return Value::of(arena_.make<Sequence>(all, flavor));
}

Value Evaluator::eval_dict(const Expr& expr) {
  Dict* dict = arena_.make<Dict>();
  dict->reserve(arena_, expr.items.size() / 2);
  for (size_t i = 0; i < expr.items.size(); i += 2) {
    Value key = eval(*expr.items[i]);
    dict->put(arena_, key, eval(*expr.items[i + 1]));
  }
  return Value::of(dict);
}

namespace {

std::optional<int64_t> slice_bound(const Value& value) {
  if (value.is(Kind::kNone)) return {};
  check(value.is_whole(), "slice indices must be integers or None or have an __index__ method");
  return value.as_int();
}

Value slice_text(const Value& value, SliceRange range, Arena& arena) {
  std::string_view text = value.text();
  if (range.count == 0) return Value::string("", value.is_safe());
  if (range.step == 1) {
    size_t begin = byte_offset(text, static_cast<size_t>(range.first));
    size_t size = byte_offset(text.substr(begin), range.count);
    return Value::string(text.substr(begin, size), value.is_safe());
  }
  std::vector<std::string_view> characters;
  Cursor cursor(value);
  for (Value c; cursor.next(c);) characters.push_back(c.text());
  std::string picked;
  int64_t at = range.first;
  for (size_t i = 0; i < range.count; ++i, at += range.step)
    picked += characters[static_cast<size_t>(at)];
  return Value::string(arena.copy(picked), value.is_safe());
}

Value slice_sequence(const Sequence& sequence, SliceRange range, Arena& arena) {
  std::span<const Value> picked;
  if (range.step == 1) {
    picked = sequence.items.subspan(range.count == 0 ? 0 : static_cast<size_t>(range.first),
                                    range.count);
  } else {
    Value* items = arena.array<Value>(range.count);
    int64_t at = range.first;
    for (size_t i = 0; i < range.count; ++i, at += range.step)
      items[i] = sequence.items[static_cast<size_t>(at)];
    picked = {items, range.count};
  }
  Sequence* slice = arena.make<Sequence>(picked, sequence.flavor);
  if (sequence.flavor == Sequence::Flavor::kRange) {
    slice->step = sequence.step * range.step;
    slice->start = sequence.start + range.first * sequence.step;
    slice->stop = slice->start + static_cast<int64_t>(range.count) * slice->step;
  }
  return Value::of(slice);
}

}  // namespace

Value Evaluator::eval_slice(const Expr& expr) {
  Value object = eval(*expr.a);
  Value start = expr.b ? eval(*expr.b) : Value::none();
  Value stop = expr.c ? eval(*expr.c) : Value::none();
  Value step = expr.step ? eval(*expr.step) : Value::none();
  line_ = expr.line;
  if (object.is(Kind::kUndefined)) raise_undefined(object);
  if (object.is(Kind::kDict)) fail("unhashable type: 'slice'");
  bool is_sequence = object.is(Kind::kSequence) && !object.sequence().is_view();
  if (!is_sequence && !object.is(Kind::kString))
    fail("'{}' object is not subscriptable", type_name(object));
  size_t length = 0;
  length_of(object, length);
  charge(is_sequence ? length : length / 16);
  int64_t stride = slice_bound(step).value_or(1);
  check(stride != 0, "slice step cannot be zero");
  SliceRange range = slice_range(slice_bound(start), slice_bound(stop), stride, length);
  return is_sequence ? slice_sequence(object.sequence(), range, arena_)
                     : slice_text(object, range, arena_);
}

}  // namespace ll::jinja
