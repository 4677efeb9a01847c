#include "base/json_fields.h"

#include <charconv>

#include "base/check.h"
#include "base/nearest_name.h"
#include "base/printable.h"

namespace ll {

std::string shown(const JsonTree& value) { return printable(value.python_dump(), 60); }

double number_of(const JsonTree& value, const std::string& name) {
  check(value.is(JsonTree::Kind::kNumber), "{}: {} is not a number", name, shown(value));
  double v = 0;
  auto [end, error] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), v);
  check(error == std::errc(), "{}: {} is out of range", name, shown(value));
  return v;
}

bool JsonFields::flag(const std::string& name, bool otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  check(value->is(JsonTree::Kind::kBool), "{}: {} is neither true nor false", name, shown(*value));
  return value->text == "true";
}

int64_t JsonFields::integer(const std::string& name, int64_t low, int64_t high,
                            int64_t otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  check(value->is(JsonTree::Kind::kNumber), "{}: {} is not a whole number", name, shown(*value));
  auto v = value->integer();
  check(v && *v >= low && *v <= high, "{}: {} is not a whole number from {} to {}", name,
        shown(*value), low, high);
  return *v;
}

double JsonFields::number(const std::string& name, double low, double high,
                          double otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  double v = number_of(*value, name);
  check(v >= low && v <= high, "{}: {} is outside {} to {}", name, shown(*value), low, high);
  return v;
}

std::string JsonFields::text(const std::string& name, const std::string& otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  check(value->is(JsonTree::Kind::kString), "{}: {} is not a string", name, shown(*value));
  return value->text;
}

void JsonFields::check_all_read() const {
  for (const JsonTree::Member& m : object_.members) {
    if (read_.contains(m.key)) continue;
    std::string near = nearest_name(m.key, {read_.begin(), read_.end()});
    fail("unknown field {}{}", printable(m.key, 60),
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
}

}  // namespace ll
