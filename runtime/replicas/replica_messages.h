#pragma once
// Between the first ranks of replicas: a message is its kind, a value, and text.
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"

namespace ll {

template <class T>
std::string replica_message(char kind, const T& head, std::string_view rest = {}) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::string text(1, kind);
  text.append(reinterpret_cast<const char*>(&head), sizeof head);
  return text.append(rest);
}

inline char kind_of(const std::string& text) { return text.empty() ? '\0' : text[0]; }

template <class T>
T head_of(const std::string& text) {
  ensure(text.size() >= 1 + sizeof(T), "message between replicas: too short");
  T head;
  std::memcpy(static_cast<void*>(&head), text.data() + 1, sizeof head);
  return head;
}

template <class T>
std::string_view rest_of(const std::string& text) {
  return std::string_view(text).substr(1 + sizeof(T));
}

// A message that is nothing but values.
template <class T>
std::string replica_message(char kind, const std::vector<T>& values) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::string text(1, kind);
  return text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <class T>
std::vector<T> values_of(const std::string& text) {
  std::vector<T> values((text.size() - 1) / sizeof(T));
  std::memcpy(values.data(), text.data() + 1, values.size() * sizeof(T));
  return values;
}

}  // namespace ll
