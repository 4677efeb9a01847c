#include "base/json_tree.h"

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/check.h"

namespace ll {

namespace {

using Kind = JsonTree::Kind;

// What to do about a text whose first `position` bytes are not the beginning of any JSON.
std::string_view advice_on(std::string_view text, size_t position, std::string_view why) {
  if (position > text.size())
    return text.starts_with('[')
               ? "it is cut off, or a list: write it one value a line, as jq -c '.[]' does"
               : "it is cut off, or goes on in another line";
  std::string_view rest = text.substr(position - 1);
  auto begins_with = [&](auto... words) { return (rest.starts_with(words) || ...); };
  if (begins_with("NaN", "Infinity"))
    return "there is no NaN and no Infinity in JSON: leave it out";
  if (begins_with("'", "True", "False", "None"))
    return "this is how Python prints it: write it with json.dumps";
  if (why.find("control character") != why.npos)
    return "control characters in a string are written as \\n or \\u0001";
  if (why.find("expected end of input") != why.npos) return "there is something behind the value";
  return "write or fetch it again";
}

// Builds the tree of the events of nlohmann's parser.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, std::string_view where) : text_(text), where_(where) {}
  JsonTree take() { return std::move(root_); }

  bool null() override { return put(Kind::kNull, "null"); }
  bool boolean(bool value) override { return put(Kind::kBool, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return put(Kind::kNumber, std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return put(Kind::kNumber, std::to_string(value));
  }
  // Integers past 64 bits come here too.
  bool number_float(number_float_t value, const string_t& digits) override {
    bool whole = digits.find_first_of(".eE") == std::string::npos;
    return put(Kind::kNumber, whole ? digits : python_float(value));
  }
  bool string(string_t& value) override { return put(Kind::kString, std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(size_t) override { return open(Kind::kObject); }
  bool start_array(size_t) override { return open(Kind::kArray); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool end_object() override {
    drop_repeated(open_.back()->members);
    open_.pop_back();
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    std::string_view why = error.what();
    check(why.find("surrogate") == why.npos,
          "{}: the \\u escape before byte {} is half of a surrogate pair, which is no Unicode "
          "character: write both halves",
          where_, position);
    check(why.find("UTF-8") == why.npos, "{}: byte {} is not valid UTF-8: write the text in UTF-8",
          where_, position);
    fail("{}: not valid JSON at byte {}: {}", where_, position, advice_on(text_, position, why));
  }

 private:
  JsonTree& add(Kind kind) {
    JsonTree* node = &root_;
    if (!open_.empty()) {
      node = &open_.back()->members.emplace_back().value;
      std::swap(open_.back()->members.back().key, key_);
      key_.clear();
    }
    node->kind = kind;
    return *node;
  }
  bool put(Kind kind, std::string text) {
    add(kind).text = std::move(text);
    return true;
  }
  // The members of a parent do not move while a child of it is open.
  bool open(Kind kind) {
    check(open_.size() < JsonTree::kMaxDepth, "{}: JSON nested deeper than {} levels", where_,
          JsonTree::kMaxDepth);
    open_.push_back(&add(kind));
    return true;
  }

  static void drop_repeated(std::vector<JsonTree::Member>& members) {
    std::unordered_map<std::string_view, size_t> first;
    first.reserve(members.size());
    bool repeated = false;
    for (size_t i = 0; i < members.size(); ++i) {
      auto [at, is_new] = first.try_emplace(members[i].key, i);
      if (is_new) continue;
      std::swap(members[at->second].value, members[i].value);
      members[i].value.kind = kDropped;
      repeated = true;
    }
    if (!repeated) return;
    std::erase_if(members, [](const JsonTree::Member& m) { return m.value.kind == kDropped; });
  }

  static constexpr Kind kDropped{255};
  std::string_view text_, where_;
  JsonTree root_;
  std::string key_;
  std::vector<JsonTree*> open_;
};

void dump(std::string& out, const JsonTree& tree) {
  if (tree.is(Kind::kString)) return append_json_string(out, tree.text);
  bool is_object = tree.is(Kind::kObject);
  if (!is_object && !tree.is(Kind::kArray)) {
    out += tree.text;
    return;
  }
  out += is_object ? '{' : '[';
  for (const JsonTree::Member& member : tree.members) {
    if (&member != tree.members.data()) out += ", ";
    if (is_object) {
      append_json_string(out, member.key);
      out += ": ";
    }
    dump(out, member.value);
  }
  out += is_object ? '}' : ']';
}

// A character that does not stand for itself in a string.
void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    case '\f':
      out += "\\f";
      break;
    case '\b':
      out += "\\b";
      break;
    default:
      out += fmt::format("\\u{:04x}", c);
  }
}

}  // namespace

std::string python_float(double value) {
  std::array<char, 32> buffer;
  char* const begin = buffer.data();
  char* const end = begin + buffer.size();
  double size = std::abs(value);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0 || (size >= 1e-4 && size < 1e16)) {
    std::string text(begin, std::to_chars(begin, end, value, std::chars_format::fixed).ptr);
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
  }
  return {begin, std::to_chars(begin, end, value, std::chars_format::scientific).ptr};
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t copied = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, copied, i - copied);
    copied = i + 1;
    append_escaped(out, c);
  }
  out.append(text, copied);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

JsonTree JsonTree::parse(std::string_view text, std::string_view where) {
  bool is_utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  check(!is_utf16, "{}: is UTF-16: write the text in UTF-8", where);
  Builder builder(text, where);
  nlohmann::json::sax_parse(text, &builder);
  return builder.take();
}

const JsonTree* JsonTree::member(std::string_view key) const {
  if (!is(Kind::kObject)) return nullptr;
  for (const Member& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}

const JsonTree* JsonTree::find(std::string_view key) const {
  const JsonTree* value = member(key);
  return value && !value->is(Kind::kNull) ? value : nullptr;
}

std::optional<int64_t> JsonTree::integer() const {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  if (!is(Kind::kNumber)) return {};
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return {};
  return value;
}

std::string JsonTree::python_dump() const {
  std::string out;
  dump(out, *this);
  return out;
}

}  // namespace ll
