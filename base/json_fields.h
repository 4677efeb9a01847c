#pragma once
// Typed reading of a JSON object's fields; what is wrong throws Error that names the field, its
// value and, where it was given, the text it stands in. A field that is null counts as absent.
#include <fmt/core.h>

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/json_tree.h"

namespace ll {

class JsonFields {
 public:
  // `object` outlives this.
  explicit JsonFields(const JsonTree& object) : object_(object) {}
  // Errors begin with `where`, "qwen/config.json". Throws Error when it is no object.
  JsonFields(const JsonTree& object, std::string where);

  const JsonTree* find(std::string_view name) const {
    read_.emplace(name);
    return object_.find(name);
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  const std::string& where() const { return where_; }

  bool flag(std::string_view name, bool otherwise) const;
  int64_t integer(std::string_view name, int64_t low, int64_t high, int64_t otherwise) const;
  // One that must be there.
  int64_t integer(std::string_view name, int64_t low, int64_t high) const;
  // One, a list of them, or none.
  std::vector<int64_t> integers(std::string_view name, int64_t low, int64_t high) const;
  double number(std::string_view name, double low, double high, double otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;

  // What is wrong with the value of a field that is there, or with its absence:
  // "qwen/config.json: hidden_act is "gelu": only silu is supported".
  template <class... Args>
  [[noreturn]] void refuse(std::string_view name, fmt::format_string<Args...> why,
                           Args&&... args) const {
    refuse_value(name, fmt::format(why, std::forward<Args>(args)...));
  }

  void ignore(std::initializer_list<const char*> names) const {
    read_.insert(names.begin(), names.end());
  }
  // Throws Error for a field nobody asked for: a mistyped one would change the result silently.
  void check_all_read() const;

 private:
  std::string place(std::string_view name) const;
  [[noreturn]] void refuse_value(std::string_view name, const std::string& why) const;
  // `what` follows the value: "is not a string".
  [[noreturn]] void refuse_kind(std::string_view name, const JsonTree& value,
                                const std::string& what) const;
  int64_t whole(std::string_view name, const JsonTree& value, int64_t low, int64_t high) const;

  const JsonTree& object_;
  std::string where_;
  mutable std::set<std::string, std::less<>> read_;
};

// A value as an error shows it.
std::string shown(const JsonTree& value);
// A JSON number without a fraction, however it is written: 8, 8.0. None for all else, and for 8.0's
// beyond 2^53, which stand for several whole numbers.
std::optional<int64_t> whole_number_of(const JsonTree& value);
// The number of a JSON number; throws Error that names the field otherwise.
double number_of(const JsonTree& value, const std::string& name);

}  // namespace ll
