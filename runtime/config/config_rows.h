#pragma once
// Keys of the configuration as rows of data: where a value goes, which values it takes, what it
// means. Rooms register their own; reading, the reference and --help are made of them.
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/config/engine_config.h"

namespace ll {

// An upper bound that is none, but keeps sums of such numbers within 64 bits.
constexpr int64_t kMany = int64_t{1} << 30;

// What one member of a section S takes.
template <class S>
struct Field {
  std::string values;  // as a phrase: "(1 to 65536)", "cpu, cuda"; empty: any
  bool is_choice = false;
  // Throws Error that says what is wrong with the text.
  std::function<void(S&, const std::string& text)> read;
  // What read() would take.
  std::function<std::string(const S&)> print;
};

// A key with all that is known of it.
struct ConfigRow {
  std::string key;   // "kv_cache.page_size"
  std::string help;  // a phrase, with the values it takes
  std::function<void(EngineConfig&, const std::string& text)> read;
  std::function<std::string(const EngineConfig&)> print;  // what read() would take
  std::string default_text;
};

using GivenKeys = std::set<std::string>;

// What a room has to say of the configuration.
struct ConfigSection {
  std::vector<ConfigRow> rows;
  // Defaults that depend on other keys; `given` are those the user set.
  void (*fit)(EngineConfig& config, const GivenKeys& given) = nullptr;
  // Throws Error (usage) for keys that do not go together; `where` names the file.
  void (*check)(const EngineConfig& config, std::string_view where) = nullptr;
};

using ConfigTable = std::vector<ConfigSection>;

// The values of texts; each throws Error.
int64_t parse_whole(const std::string& text, int64_t low, int64_t high);
double parse_number(const std::string& text, double low, double high);
bool parse_flag(const std::string& text);
// "6000000000", "6GB", "6 GiB"
size_t parse_bytes(const std::string& text);
// "(1 to 9)", "(1 or more)", or nothing for all that make sense.
std::string range_phrase(int64_t low, int64_t high);
std::string number_phrase(double low, double high);
std::string number_text(double value);
[[noreturn]] void refuse_choice(const std::string& text, const std::string& names);

template <class S, class T>
Field<S> whole(T S::*member, int64_t low, int64_t high) {
  return {.values = range_phrase(low, high),
          .read =
              [=](S& s, const std::string& text) {
                s.*member = static_cast<T>(parse_whole(text, low, high));
              },
          .print = [=](const S& s) { return std::to_string(s.*member); }};
}

template <class S>
Field<S> number(double S::*member, double low, double high) {
  return {.values = number_phrase(low, high),
          .read = [=](S& s, const std::string& text) { s.*member = parse_number(text, low, high); },
          .print = [=](const S& s) { return number_text(s.*member); }};
}

template <class S>
Field<S> flag(bool S::*member) {
  return {.read = [=](S& s, const std::string& text) { s.*member = parse_flag(text); },
          .print = [=](const S& s) { return std::string(s.*member ? "true" : "false"); }};
}

template <class S>
Field<S> text(std::string S::*member) {
  return {.read = [=](S& s, const std::string& text) { s.*member = text; },
          .print = [=](const S& s) { return s.*member; }};
}

template <class S>
Field<S> bytes(size_t S::*member) {
  return {.read = [=](S& s, const std::string& text) { s.*member = parse_bytes(text); },
          .print = [=](const S& s) { return std::to_string(s.*member); }};
}

template <class E>
struct KeyChoice {
  std::string name;
  E value;
  std::string help = "";
};

template <class E>
std::string names_of(const std::vector<KeyChoice<E>>& choices) {
  std::string names;
  for (const KeyChoice<E>& c : choices) names += (names.empty() ? "" : ", ") + c.name;
  return names;
}

// "auto: the file's; bfloat16; float32", or "cpu, cuda" where none has a help.
template <class E>
std::string choices_phrase(const std::vector<KeyChoice<E>>& choices) {
  std::string phrase;
  bool has_help = false;
  for (const KeyChoice<E>& c : choices) {
    phrase += (phrase.empty() ? "" : "; ") + c.name + (c.help.empty() ? "" : ": ") + c.help;
    has_help |= !c.help.empty();
  }
  return has_help ? phrase : names_of(choices);
}

template <class S, class E>
Field<S> choice(E S::*member, std::type_identity_t<std::vector<KeyChoice<E>>> choices) {
  return {.values = choices_phrase(choices),
          .is_choice = true,
          .read =
              [=](S& s, const std::string& text) {
                for (const KeyChoice<E>& c : choices)
                  if (text == c.name) return void(s.*member = c.value);
                refuse_choice(text, names_of(choices));
              },
          .print =
              [=](const S& s) {
                for (const KeyChoice<E>& c : choices)
                  if (s.*member == c.value) return c.name;
                return std::string();
              }};
}

// A key that has one value so far, and therefore no member.
template <class S>
Field<S> only_choice(std::string name) {
  return {.read =
              [=](S&, const std::string& text) {
                if (text != name) refuse_choice(text, name);
              },
          .print = [=](const S&) { return name; }};
}

// A row as rooms write it; the key without the section's name.
template <class S>
struct Row {
  std::string_view key;
  Field<S> field;
  std::string_view help = "";
};

// What a choice is of goes before it, a range behind what it is the range of.
std::string help_phrase(std::string_view help, const std::string& values, bool is_choice);

// The rows of a section: of its keys' common name ("" for keys that have none), and the part of the
// configuration they are members of.
template <class S>
std::vector<ConfigRow> rows_of(std::string_view section, S& (*part)(EngineConfig&),
                               const std::vector<Row<S>>& rows) {
  std::vector<ConfigRow> all;
  for (const Row<S>& row : rows) {
    EngineConfig defaults;
    all.push_back(
        {.key = std::string(section) + (section.empty() ? "" : ".") + std::string(row.key),
         .help = help_phrase(row.help, row.field.values, row.field.is_choice),
         .read = [part, read = row.field.read](EngineConfig& c,
                                               const std::string& text) { read(part(c), text); },
         .print = [part, print = row.field.print](EngineConfig c) { return print(part(c)); },
         .default_text = row.field.print(part(defaults))});
  }
  return all;
}

}  // namespace ll
