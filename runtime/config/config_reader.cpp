#include "runtime/config/config_reader.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/check.h"
#include "base/nearest_name.h"
#include "runtime/config/yaml_text.h"

namespace ll {
namespace {

bool is_unset(const YAML::Node& node) {
  return node.IsNull() || (node.IsMap() && node.size() == 0);
}

class Reader {
 public:
  explicit Reader(const ConfigTable& table) : table_(table) {}

  // A key or a section with nothing behind it keeps its defaults.
  void read_file(std::string_view text, std::string_view where) {
    bool has_content = check_one_document(text, where);
    of_yaml(where, [&] {
      YAML::Node root = YAML::Load(std::string(text));
      if (!root.IsMap() && (!root.IsNull() || has_content))
        fail_usage("{}: expected a map of keys", where);
      if (root.IsMap()) read_map(root, "", where);
    });
  }

  // Goes over what was read before.
  void read_override(const std::string& text) {
    size_t equals = text.find('=');
    if (equals == std::string::npos) fail_usage("--set {}: expected key.path=value", text);
    std::string key = text.substr(0, equals), value = text.substr(equals + 1);
    if (value.starts_with('{') && has_keys_below(key))
      return of_yaml("--set " + key, [&] { read_overriding_map(YAML::Load(value), key); });
    set_key({"--set", key}, YAML::Node(value));
    given_.insert(key);
  }

  EngineConfig finish(std::string_view where) {
    for (const ConfigSection& s : table_)
      if (s.fit) s.fit(config_, given_);
    for (const ConfigSection& s : table_)
      if (s.check) s.check(config_, where);
    return config_;
  }

 private:
  // Where a value stands: "configs/demo.yaml:12", kv_cache.page_size.
  struct Place {
    std::string where, key;
  };

  template <class... Args>
  [[noreturn]] static void refuse(const Place& p, fmt::format_string<Args...> format,
                                  Args&&... args) {
    fail_usage("{}: {}: {}", p.where, p.key, fmt::format(format, std::forward<Args>(args)...));
  }

  template <class F>
  static void of_yaml(std::string_view where, F&& read) {
    try {
      read();
    } catch (const YAML::Exception& e) {
      fail_usage("{}:{}: not valid YAML: {}", where, e.mark.line + 1, e.msg);
    }
  }

  const ConfigRow* find(const std::string& key) const {
    for (const ConfigSection& s : table_)
      for (const ConfigRow& row : s.rows)
        if (row.key == key) return &row;
    return nullptr;
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> names;
    for (const ConfigSection& s : table_)
      for (const ConfigRow& row : s.rows) names.push_back(row.key);
    return names;
  }

  bool has_keys_below(const std::string& section) const {
    auto names = keys();
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name.starts_with(section + "."); });
  }

  void set_key(const Place& place, const YAML::Node& node) {
    if (const ConfigRow* row = find(place.key)) return set(*row, place, node);
    bool is_section = has_keys_below(place.key);
    if (is_section && is_unset(node)) return;
    if (is_section) refuse(place, "is a section; its keys go below it");
    std::string near = nearest_name(place.key, keys());
    fail_usage("{}: unknown key {}{}", place.where, place.key,
               near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }

  void set(const ConfigRow& row, const Place& place, const YAML::Node& node) {
    if (is_unset(node)) return;
    if (!node.IsScalar()) refuse(place, "expected a single value");
    try {
      row.read(config_, node.Scalar());
    } catch (const Error& e) {
      refuse(place, "{}", e.what());
    }
  }

  void read_map(const YAML::Node& map, const std::string& prefix, std::string_view where) {
    for (const auto& entry : map) {
      Place place{fmt::format("{}:{}", where, entry.first.Mark().line + 1), prefix};
      if (!entry.first.IsScalar()) refuse(place, "a key must be a plain word");
      place.key += entry.first.Scalar();
      if (!given_.insert(place.key).second) refuse(place, "given twice");
      if (prefix.empty() && entry.second.IsMap() && !is_unset(entry.second))
        read_map(entry.second, place.key + ".", where);
      else
        set_key(place, entry.second);
    }
  }

  void read_overriding_map(const YAML::Node& map, const std::string& section) {
    for (const auto& entry : map) {
      Place place{"--set", section + "."};
      if (!entry.first.IsScalar()) refuse(place, "a key must be a plain word");
      place.key += entry.first.Scalar();
      set_key(place, entry.second);
      given_.insert(place.key);
    }
  }

  const ConfigTable& table_;
  EngineConfig config_;
  GivenKeys given_;
};

}  // namespace

EngineConfig read_config(const ConfigTable& table, std::string_view text, std::string_view where,
                         const std::vector<std::string>& overrides) {
  Reader reader(table);
  reader.read_file(text, where);
  for (const std::string& o : overrides) reader.read_override(o);
  return reader.finish(where);
}

}  // namespace ll
