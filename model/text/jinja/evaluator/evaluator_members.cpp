// obj.name and obj[index], as the sandbox of transformers' environment lets them be.
#include "base/check.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

namespace {

bool is_dunder(std::string_view name) {
  return name.size() > 4 && name.starts_with("__") && name.ends_with("__");
}

// Index of an item, counted from the end where it is negative; nothing where there is none.
std::optional<size_t> place_of(const Value& index, size_t length) {
  if (!index.is_whole()) return {};
  int64_t at = index.as_int(), n = static_cast<int64_t>(length);
  if (at < 0) at += n;
  if (at < 0 || at >= n) return {};
  return static_cast<size_t>(at);
}

}  // namespace

Value Evaluator::missing_member(const Value& object, std::string_view name) {
  if (is_dunder(name))
    return undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)));
  Value owner = text(type_of_object(object));
  return Value::undefined(
      arena_.make<Undefined>(Undefined::Reason::kMember, arena_.copy(name), owner.text()));
}

// Methods first, then keys.
Value Evaluator::attribute(const Value& object, std::string_view name,
                           const MethodsOfName& methods) {
  if (object.is(Kind::kUndefined)) raise_undefined(object);
  if (const Builtin* builtin = method_of(object, methods)) {
    if (!builtin->is_unsafe()) return Value::of(arena_.make<Method>(object, builtin));
    return undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)));
  }
  if (object.is(Kind::kDict)) {
    if (const Value* value = object.dict().find(name)) return *value;
  } else if (object.is(Kind::kNamespace)) {
    if (const Value* value = object.ns().attributes.find(name)) return *value;
  } else if (object.is(Kind::kLoop)) {
    Value value = loop_attribute(object.loop(), name);
    if (!value.is_missing()) return value;
  }
  return missing_member(object, name);
}

Value Evaluator::missing_item(const Value& object, const Value& index) {
  if (index.is(Kind::kString)) return attribute(object, index.text());
  return undefined(fmt::format("{} has no element {}", type_of_object(object), to_repr(index)));
}

Value Evaluator::item(const Value& object, const Value& index) {
  if (object.is(Kind::kUndefined)) raise_undefined(object);
  if (object.is(Kind::kDict)) {
    bool is_list =
        index.is(Kind::kDict) || (index.is(Kind::kSequence) && !index.sequence().is_tuple());
    if (const Value* value = is_list ? nullptr : object.dict().find(index)) return *value;
  } else if (object.is(Kind::kSequence) && !object.sequence().is_view()) {
    std::span<const Value> items = object.sequence().items;
    if (std::optional<size_t> place = place_of(index, items.size())) return items[*place];
  } else if (object.is(Kind::kString)) {
    std::string_view text = object.text();
    charge(text.size() / 64);
    if (std::optional<size_t> place = place_of(index, count_code_points(text))) {
      size_t begin = byte_offset(text, *place);
      size_t size = byte_offset(text.substr(begin), 1);
      return Value::string(text.substr(begin, size), object.is_safe());
    }
  }
  return missing_item(object, index);
}

Value Evaluator::loop_attribute(LoopState& loop, std::string_view name) {
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "index") return Value::integer(loop.index());
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "last") return Value::boolean(loop.is_last());
  if (name == "length") return Value::integer(static_cast<int64_t>(loop.length()));
  if (name == "revindex" || name == "revindex0") {
    int64_t left = static_cast<int64_t>(loop.length()) - loop.index0;
    return Value::integer(name == "revindex" ? left : left - 1);
  }
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem")
    return loop.index0 == 0 ? undefined("there is no previous item") : loop.previous;
  if (name == "nextitem") return loop.is_last() ? undefined("there is no next item") : loop.peek();
  if (name == "cycle" || name == "changed")
    return Value::of(arena_.make<Method>(Value::of(&loop), program_.builtins.loop_method(name)));
  return Value();
}

}  // namespace ll::jinja
