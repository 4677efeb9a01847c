#include "model/text/jinja/values/python_text.h"

#include <fmt/format.h>

#include <utf8proc.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/utf8.h"
#include "model/text/jinja/values/dict.h"
#include "model/text/jinja/values/loop_state.h"
#include "model/text/jinja/values/number_format.h"
#include "model/text/jinja/values/render_meter.h"

namespace ll::jinja {

namespace {

// str.isprintable: neither other nor separator, but for the blank.
bool is_printable(char32_t point) {
  if (point < 0x7F) return point >= 0x20;
  utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(point));
  return category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS;
}

void append_escape(std::string& out, char32_t point) {
  auto code = static_cast<uint32_t>(point);
  if (code < 0x100)
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", code);
  else if (code < 0x10000)
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
  else
    fmt::format_to(std::back_inserter(out), "\\U{:08x}", code);
}

void append_repr_of_character(std::string& out, char32_t point, char quote) {
  if (point == '\n') {
    out += "\\n";
  } else if (point == '\r') {
    out += "\\r";
  } else if (point == '\t') {
    out += "\\t";
  } else if (point == '\\' || point == static_cast<char32_t>(quote)) {
    out += '\\';
    out += static_cast<char>(point);
  } else if (is_printable(point)) {
    append_utf8(out, point);
  } else {
    append_escape(out, point);
  }
}

struct Brackets {
  std::string_view open, close;
};
Brackets brackets_of(Sequence::Flavor flavor) {
  switch (flavor) {
    case Sequence::Flavor::kTuple:
      return {"(", ")"};
    case Sequence::Flavor::kItems:
      return {"dict_items([", "])"};
    case Sequence::Flavor::kKeys:
      return {"dict_keys([", "])"};
    case Sequence::Flavor::kValues:
      return {"dict_values([", "])"};
    default:
      return {"[", "]"};
  }
}

void append_range(std::string& out, const Sequence& range) {
  fmt::format_to(std::back_inserter(out), "range({}, {}", range.start, range.stop);
  if (range.step != 1) fmt::format_to(std::back_inserter(out), ", {}", range.step);
  out += ')';
}

void append_sequence(std::string& out, const Sequence& sequence, int depth) {
  if (sequence.flavor == Sequence::Flavor::kRange) return append_range(out, sequence);
  Brackets brackets = brackets_of(sequence.flavor);
  out += brackets.open;
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(out, sequence.items[i], depth + 1);
  }
  if (sequence.is_tuple() && sequence.items.size() == 1) out += ',';
  out += brackets.close;
}

void append_dict(std::string& out, const Dict& dict, int depth) {
  out += '{';
  for (const Dict::Entry& entry : dict.entries()) {
    if (&entry != dict.entries().data()) out += ", ";
    append_repr(out, entry.key, depth + 1);
    out += ": ";
    append_repr(out, entry.value, depth + 1);
  }
  out += '}';
}

std::string printed_name(const MacroValue& macro) {
  std::string name;
  append_repr(name, macro.name);
  return macro.name.empty() ? "anonymous" : name;
}

}  // namespace

std::string_view type_name(const Value& value) {
  constexpr std::string_view kSequences[] = {"list",       "tuple",     "range",
                                             "dict_items", "dict_keys", "dict_values"};
  constexpr std::string_view kNames[] = {
      "Undefined", "Undefined",   "NoneType",  "bool",     "int",
      "int",       "float",       "str",       "list",     "dict",
      "Namespace", "LoopContext", "generator", "function", "builtin_function_or_method",
      "Macro"};
  if (value.is(Kind::kString) && value.is_safe()) return "Markup";
  if (value.is(Kind::kSequence)) return kSequences[static_cast<size_t>(value.sequence().flavor)];
  return kNames[static_cast<size_t>(value.kind())];
}

std::string type_of_object(const Value& value) {
  std::string_view prefix;
  if (value.is(Kind::kNone)) return "None";
  if (value.is(Kind::kUndefined) || value.is(Kind::kLoop) || value.is(Kind::kMacro))
    prefix = "jinja2.runtime.";
  if (value.is(Kind::kNamespace)) prefix = "jinja2.utils.";
  return fmt::format("{}{} object", prefix, type_name(value));
}

void append_repr(std::string& out, std::string_view text) {
  bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  for (size_t pos = 0; pos < text.size();)
    append_repr_of_character(out, next_code_point(text, pos), quote);
  out += quote;
}

void append_repr(std::string& out, const Value& value, int depth) {
  check(depth < kMaxValueDepth, "a value is nested deeper than {} levels", kMaxValueDepth);
  RenderMeter::count(1);
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out += "Undefined";
      break;
    case Kind::kString:
      RenderMeter::count(value.text().size() / 8);
      if (value.is_safe()) out += "Markup(";
      append_repr(out, value.text());
      if (value.is_safe()) out += ')';
      break;
    case Kind::kSequence:
      append_sequence(out, value.sequence(), depth);
      break;
    case Kind::kDict:
      append_dict(out, value.dict(), depth);
      break;
    case Kind::kNamespace:
      out += "<Namespace ";
      append_dict(out, value.ns().attributes, depth);
      out += '>';
      break;
    case Kind::kLoop:
      out += fmt::format("<LoopContext {}/{}>", value.loop().index(), value.loop().length());
      break;
    case Kind::kMacro:
      out += fmt::format("<Macro {}>", printed_name(value.macro()));
      break;
    case Kind::kIterator:
    case Kind::kFunction:
    case Kind::kMethod:
      out += fmt::format("<{}>", type_name(value));
      break;
    default:
      append_str(out, value);
  }
}

void append_str(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      break;
    case Kind::kNone:
      out += "None";
      break;
    case Kind::kBool:
      out += value.as_bool() ? "True" : "False";
      break;
    case Kind::kInt:
      fmt::format_to(std::back_inserter(out), "{}", value.as_int());
      break;
    case Kind::kFloat:
      out += python_float(value.as_double());
      break;
    case Kind::kBigInt:
    case Kind::kString:
      RenderMeter::count(value.text().size() / 64);
      out += value.text();
      break;
    default:
      append_repr(out, value, 0);
  }
}

std::string to_str(const Value& value) {
  std::string out;
  append_str(out, value);
  return out;
}

std::string to_repr(const Value& value) {
  std::string out;
  append_repr(out, value, 0);
  return out;
}

std::string undefined_message(const Value& value) {
  const Undefined& why = value.why();
  std::string name;
  switch (why.reason) {
    case Undefined::Reason::kName:
      append_repr(name, why.text);
      return name + " is undefined";
    case Undefined::Reason::kMember:
      append_repr(name, why.text);
      return fmt::format("'{}' has no attribute {}", why.owner, name);
    default:
      return std::string(why.text);
  }
}

void raise_undefined(const Value& value) { fail("{}", undefined_message(value)); }

}  // namespace ll::jinja
