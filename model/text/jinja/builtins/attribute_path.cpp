#include "model/text/jinja/builtins/attribute_path.h"

#include <algorithm>
#include <charconv>

#include "model/text/jinja/evaluator/evaluator.h"

namespace ll::jinja {

namespace {

Value part_of(std::string_view text) {
  int64_t index = 0;
  bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (!is_number) return Value::string(text);
  std::from_chars(text.data(), text.data() + text.size(), index);
  return Value::integer(index);
}

}  // namespace

AttributePath::AttributePath(Evaluator& evaluator, const Value& path) : evaluator_(&evaluator) {
  std::vector<Value> parts;
  if (path.is(Kind::kString)) {
    for (std::string_view rest = path.text();;) {
      size_t dot = rest.find('.');
      parts.push_back(part_of(rest.substr(0, dot)));
      if (dot == rest.npos) break;
      rest.remove_prefix(dot + 1);
    }
  } else if (!path.is_missing() && !path.is(Kind::kNone)) {
    parts.push_back(path);
  }
  parts_ = evaluator.list(parts).sequence().items;
}

Value AttributePath::of(const Value& item, const Value& otherwise) const {
  Value value = item;
  for (const Value& part : parts_) {
    value = evaluator_->item(value, part);
    if (value.is(Kind::kUndefined) && !otherwise.is_missing()) value = otherwise;
  }
  return value;
}

}  // namespace ll::jinja
