#pragma once
// Typed reading of a JSON object's fields; what is wrong throws Error that names the field.
#include <initializer_list>
#include <set>
#include <string>

#include "base/json_tree.h"

namespace ll {

class JsonFields {
 public:
  // `object` outlives this.
  explicit JsonFields(const JsonTree& object) : object_(object) {}

  // Null counts as absent.
  const JsonTree* find(const std::string& name) const {
    read_.insert(name);
    return object_.find(name);
  }
  bool flag(const std::string& name, bool otherwise) const;
  int64_t integer(const std::string& name, int64_t low, int64_t high, int64_t otherwise) const;
  double number(const std::string& name, double low, double high, double otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;

  void ignore(std::initializer_list<const char*> names) const {
    read_.insert(names.begin(), names.end());
  }
  // Throws Error for a field nobody asked for: a mistyped one would change the result silently.
  void check_all_read() const;

 private:
  const JsonTree& object_;
  mutable std::set<std::string> read_;
};

// A value as an error shows it.
std::string shown(const JsonTree& value);
// The number of a JSON number; throws Error that names the field otherwise.
double number_of(const JsonTree& value, const std::string& name);

}  // namespace ll
