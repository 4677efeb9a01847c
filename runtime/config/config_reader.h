#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/config_rows.h"

namespace ll {

// What a YAML text and overrides, each "key.path=value" or "section={key: value, ...}", say by the
// keys of a table. `where` names the text in errors ("configs/demo.yaml"). Throws Error (usage)
// with file, line and, for an unknown key, the nearest one.
EngineConfig read_config(const ConfigTable& table, std::string_view text, std::string_view where,
                         const std::vector<std::string>& overrides);

// A YAML file with every key, its default and its help.
std::string reference_of(const ConfigTable& table);

}  // namespace ll
