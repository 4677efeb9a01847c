// Filters that give what passes, or what becomes of items, one at a time.
#include "base/check.h"
#include "model/text/jinja/builtins/attribute_path.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

Arguments kept(Evaluator& e, const Arguments& arguments, size_t skipped) {
  NamedValue* named = e.arena().array<NamedValue>(arguments.named.size());
  std::copy(arguments.named.begin(), arguments.named.end(), named);
  std::span<const Value> positional = arguments.positional;
  positional = positional.subspan(std::min(skipped, positional.size()));
  return {e.list(positional).sequence().items, {named, arguments.named.size()}};
}

// select, reject, selectattr and rejectattr.
class Selection final : public Iterator {
 public:
  Selection(Evaluator& e, const Value& items, const Arguments& arguments, bool by_attribute,
            bool wanted)
      : evaluator_(&e),
        items_(is_true(items) ? items : e.undefined("")),
        path_(e, by_attribute ? attribute_of(arguments) : Value()),
        wanted_(wanted) {
    size_t skipped = by_attribute ? 1 : 0;
    if (arguments.positional.size() <= skipped) return;
    test_ = &e.test_named(arguments.positional[skipped]);
    arguments_ = kept(e, arguments, skipped + 1);
  }

  bool next(Value& item) override {
    while (items_.next(item)) {
      evaluator_->charge(1);
      Value tested = path_.of(item);
      bool holds = is_true(test_ ? evaluator_->call(*test_, tested, arguments_) : tested);
      if (holds == wanted_) return true;
    }
    return false;
  }

 private:
  static Value attribute_of(const Arguments& arguments) {
    check(!arguments.positional.empty(), "Missing parameter for attribute name");
    return arguments.positional[0];
  }

  Evaluator* evaluator_;
  Cursor items_;
  AttributePath path_;
  bool wanted_;
  const Builtin* test_ = nullptr;
  Arguments arguments_;
};

template <bool ByAttribute, bool Wanted>
Value select(Evaluator& e, const Value& self, const Arguments& arguments) {
  Iterator* selection = e.arena().make<Selection>(e, self, arguments, ByAttribute, Wanted);
  return Value::of(selection);
}

// map(attribute=...) or map('filter', ...).
class Mapping final : public Iterator {
 public:
  Mapping(Evaluator& e, const Value& items, const Arguments& arguments)
      : evaluator_(&e),
        items_(is_true(items) ? items : e.undefined("")),
        path_(e, named(arguments, "attribute")),
        default_(named(arguments, "default")) {
    bool has_path = !named(arguments, "attribute").is_missing();
    if (has_path && arguments.positional.empty()) return;
    check(!arguments.positional.empty(), "map requires a filter argument");
    filter_ = &e.filter_named(arguments.positional[0]);
    arguments_ = kept(e, arguments, 1);
  }

  bool next(Value& item) override {
    Value from;
    if (!items_.next(from)) return false;
    evaluator_->charge(1);
    item = filter_ ? evaluator_->call(*filter_, from, arguments_) : path_.of(from, default_);
    return true;
  }

 private:
  static Value named(const Arguments& arguments, std::string_view name) {
    for (const NamedValue& argument : arguments.named)
      if (argument.name == name && arguments.positional.empty()) return argument.value;
    return Value();
  }

  Evaluator* evaluator_;
  Cursor items_;
  AttributePath path_;
  Value default_;
  const Builtin* filter_ = nullptr;
  Arguments arguments_;
};

Value map(Evaluator& e, const Value& self, const Arguments& arguments) {
  Iterator* mapping = e.arena().make<Mapping>(e, self, arguments);
  return Value::of(mapping);
}

// Pairs of a dict; an error only once they are asked for.
class Items final : public Iterator {
 public:
  Items(Evaluator& e, const Value& dict) : evaluator_(&e), dict_(dict) {}

  bool next(Value& item) override {
    if (dict_.is(Kind::kUndefined)) return false;
    check(dict_.is(Kind::kDict), "Can only get item pairs from a mapping.");
    if (at_ == dict_.dict().size()) return false;
    const Dict::Entry& entry = dict_.dict().entries()[at_++];
    Value pair[] = {entry.key, entry.value};
    item = evaluator_->list(pair, Sequence::Flavor::kTuple);
    return true;
  }

 private:
  Evaluator* evaluator_;
  Value dict_;
  size_t at_ = 0;
};

Value items(Evaluator& e, const Value& self, const Bound&) {
  Iterator* pairs = e.arena().make<Items>(e, self);
  return Value::of(pairs);
}

class Unique final : public Iterator {
 public:
  Unique(Evaluator& e, const Value& items, bool case_sensitive, const Value& path)
      : evaluator_(&e), items_(items), case_sensitive_(case_sensitive), path_(e, path) {}

  bool next(Value& item) override {
    while (items_.next(item)) {
      Value key = path_.of(item);
      if (!case_sensitive_ && key.is(Kind::kString)) key = evaluator_->text(to_lower(key.text()));
      if (seen_.find(key) != nullptr) continue;
      seen_.put(evaluator_->arena(), key, Value::none());
      return true;
    }
    return false;
  }

 private:
  Evaluator* evaluator_;
  Cursor items_;
  bool case_sensitive_;
  AttributePath path_;
  Dict seen_;
};

Value unique(Evaluator& e, const Value& self, const Bound& bound) {
  Iterator* unique = e.arena().make<Unique>(e, self, is_true(bound[0]), bound[1]);
  return Value::of(unique);
}

class Reversed final : public Iterator {
 public:
  explicit Reversed(std::span<const Value> items) : left_(items) {}

  bool next(Value& item) override {
    if (left_.empty()) return false;
    item = left_.back();
    left_ = left_.first(left_.size() - 1);
    return true;
  }

 private:
  std::span<const Value> left_;
};

Value reverse(Evaluator& e, const Value& self, const Bound&) {
  check(Cursor::can_walk(self), "argument must be iterable");
  std::span<const Value> items = items_of(self, e.arena());
  if (self.is(Kind::kString)) {
    std::string text;
    for (size_t i = items.size(); i-- > 0;) text += items[i].text();
    return e.text(text);
  }
  Iterator* reversed = e.arena().make<Reversed>(items);
  return Value::of(reversed);
}

constexpr Builtin kSelectingFilters[] = {
    {.name = "items", .run = items},
    {.name = "map", .run_all = map},
    {.name = "reject", .run_all = select<false, false>},
    {.name = "rejectattr", .run_all = select<true, false>},
    {.name = "reverse", .run = reverse},
    {.name = "select", .run_all = select<false, true>},
    {.name = "selectattr", .run_all = select<true, true>},
    {.name = "unique", .run = unique, .parameters = {"case_sensitive", "attribute"}},
};

}  // namespace

std::span<const Builtin> selecting_filters() { return kSelectingFilters; }

}  // namespace ll::jinja
