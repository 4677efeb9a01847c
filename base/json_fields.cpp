#include "base/json_fields.h"

#include <charconv>
#include <cmath>

#include "base/nearest_name.h"
#include "base/printable.h"

namespace ll {

std::string shown(const JsonTree& value) { return printable(value.python_dump(), 60); }

std::optional<int64_t> whole_number_of(const JsonTree& value) {
  if (!value.is(JsonTree::Kind::kNumber)) return {};
  if (auto integer = value.integer()) return integer;
  double v = 0;
  auto [end, error] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), v);
  if (error != std::errc() || std::abs(v) > 0x1p53 || std::trunc(v) != v) return {};
  return static_cast<int64_t>(v);
}

double number_of(const JsonTree& value, const std::string& name) {
  check(value.is(JsonTree::Kind::kNumber), "{}: {} is not a number", name, shown(value));
  double v = 0;
  auto [end, error] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), v);
  check(error == std::errc(), "{}: {} is out of range", name, shown(value));
  return v;
}

JsonFields::JsonFields(const JsonTree& object, std::string where)
    : object_(object), where_(std::move(where)) {
  check(object.is(JsonTree::Kind::kObject), "{}: is not a JSON object", where_);
}

std::string JsonFields::place(std::string_view name) const {
  return where_.empty() ? std::string(name) : fmt::format("{}: {}", where_, name);
}

void JsonFields::refuse_value(std::string_view name, const std::string& why) const {
  const JsonTree* value = find(name);
  fail("{} is {}: {}", place(name), value ? shown(*value) : "missing", why);
}

void JsonFields::refuse_kind(std::string_view name, const JsonTree& value,
                             const std::string& what) const {
  fail("{}: {} {}", place(name), shown(value), what);
}

int64_t JsonFields::whole(std::string_view name, const JsonTree& value, int64_t low,
                          int64_t high) const {
  if (!value.is(JsonTree::Kind::kNumber)) refuse_kind(name, value, "is not a whole number");
  auto v = whole_number_of(value);
  if (!v || *v < low || *v > high)
    refuse_kind(name, value, fmt::format("is not a whole number from {} to {}", low, high));
  return *v;
}

bool JsonFields::flag(std::string_view name, bool otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  if (!value->is(JsonTree::Kind::kBool)) refuse_kind(name, *value, "is neither true nor false");
  return value->text == "true";
}

int64_t JsonFields::integer(std::string_view name, int64_t low, int64_t high,
                            int64_t otherwise) const {
  const JsonTree* value = find(name);
  return value ? whole(name, *value, low, high) : otherwise;
}

int64_t JsonFields::integer(std::string_view name, int64_t low, int64_t high) const {
  const JsonTree* value = find(name);
  if (!value) refuse(name, "must be a whole number from {} to {}", low, high);
  return whole(name, *value, low, high);
}

std::vector<int64_t> JsonFields::integers(std::string_view name, int64_t low, int64_t high) const {
  const JsonTree* value = find(name);
  if (!value) return {};
  if (!value->is(JsonTree::Kind::kArray)) return {whole(name, *value, low, high)};
  std::vector<int64_t> list;
  for (const JsonTree::Member& m : value->members) list.push_back(whole(name, m.value, low, high));
  return list;
}

double JsonFields::number(std::string_view name, double low, double high, double otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return otherwise;
  double v = number_of(*value, place(name));
  if (!(v >= low && v <= high))
    refuse_kind(name, *value, fmt::format("is outside {} to {}", low, high));
  return v;
}

std::string JsonFields::text(std::string_view name, std::string_view otherwise) const {
  const JsonTree* value = find(name);
  if (!value) return std::string(otherwise);
  if (!value->is(JsonTree::Kind::kString)) refuse_kind(name, *value, "is not a string");
  return value->text;
}

void JsonFields::check_all_read() const {
  for (const JsonTree::Member& m : object_.members) {
    if (read_.contains(m.key)) continue;
    std::string near = nearest_name(m.key, {read_.begin(), read_.end()});
    fail("{}{}", place(fmt::format("unknown field {}", printable(m.key, 60))),
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
}

}  // namespace ll
