#include "model/text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "base/printable.h"

namespace ll {

namespace {

constexpr size_t kMaxRegexBytes = 4096;
// Steps of backtracking one match may take: far more than a linear walk, far fewer than a bomb.
constexpr size_t kMinSteps = 100'000, kStepsPerByte = 64;

constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
// Letters and numbers of Unicode 15 and 16.
constexpr std::string_view kLetters =
    R"(\p{L}\x{1c89}\x{1c8a}\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{105c0}-\x{105f3})"
    R"(\x{10d4a}-\x{10d65}\x{10d6f}-\x{10d85}\x{10ec2}-\x{10ec4}\x{1123f}\x{11240})"
    R"(\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1}\x{113d3})"
    R"(\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f})"
    R"(\x{13441}-\x{13446}\x{13460}-\x{143fa}\x{16100}-\x{1611d}\x{16d40}-\x{16d6c}\x{18cff})"
    R"(\x{1b132}\x{1b155}\x{1df25}-\x{1df2a}\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb})"
    R"(\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})";
constexpr std::string_view kNumbers =
    R"(\p{N}\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11f50}-\x{11f59})"
    R"(\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9}\x{1d2c0}-\x{1d2d3})"
    R"(\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})";

// A walk over an Oniguruma expression that copies what both libraries read alike, respells classes
// and refuses the rest.
class Translator {
 public:
  Translator(std::string_view regex, std::string_view where) : rest_(regex), where_(where) {}

  std::string run() {
    while (!rest_.empty())
      if (rest_[0] == '\\')
        escape();
      else if (in_class_)
        in_class();
      else
        outside();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(
        "{}: the regular expression has '{}', which this tokenizer does not know: use a model with "
        "the Split pattern of Qwen2",
        where_, printable(what, 24));
  }
  void copy(size_t n) {
    out_ += rest_.substr(0, n);
    rest_.remove_prefix(n);
  }
  bool take(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }

  void escape() {
    if (take(R"(\s)")) return set(kWhiteSpace, false);
    if (take(R"(\S)")) return set(kWhiteSpace, true);
    if (take(R"(\p{L})")) return set(kLetters, false);
    if (take(R"(\p{N})")) return set(kNumbers, false);
    constexpr std::string_view kAlike = R"(rnt\/.?*+-^$|(){}[])";
    if (rest_.size() < 2 || kAlike.find(rest_[1]) == std::string_view::npos)
      refuse(rest_.substr(0, rest_.starts_with(R"(\p)") ? 8 : 2));
    copy(2);
  }

  void set(std::string_view members, bool negated) {
    if (in_class_) {
      if (negated) refuse(R"([...\S...])");
      if (rest_.starts_with('-') && !rest_.starts_with("-]")) refuse(R"([\s-...])");
      out_ += members;
    } else {
      out_ += negated ? "[^" : "[";
      out_ += members;
      out_ += ']';
    }
  }

  void in_class() {
    if (rest_[0] == '[' || rest_.starts_with("&&")) refuse(rest_.substr(0, 2));
    in_class_ = rest_[0] != ']';
    copy(1);
  }

  void outside() {
    constexpr std::string_view kOtherwise = ".^$";  // lines, dots and anchors differ
    const char c = rest_[0];
    if (kOtherwise.find(c) != std::string_view::npos) refuse(rest_.substr(0, 1));
    for (std::string_view other : {"}+", "{,", "(*"})
      if (rest_.starts_with(other)) refuse(other);
    if (c == '[') {
      in_class_ = true;
      copy(rest_.starts_with("[^") ? 2 : 1);
      if (rest_.starts_with("]")) refuse("[]");
    } else if (rest_.starts_with("(?")) {
      group();
    } else {
      copy(1);
    }
  }

  void group() {
    for (std::string_view opening : {"(?i:", "(?:", "(?=", "(?!"})
      if (rest_.starts_with(opening)) return copy(opening.size());
    refuse(rest_.substr(0, 4));
  }

  std::string_view rest_, where_;
  std::string out_;
  bool in_class_ = false;
};

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message_of(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

std::string pcre2_of_oniguruma(std::string_view regex, std::string_view where) {
  return Translator(regex, where).run();
}

struct PreTokenizer::Code {
  Owned<pcre2_code> regex;
  std::string where;
};

PreTokenizer::PreTokenizer(std::string_view regex, std::string_view where)
    : code_(std::make_unique<Code>()) {
  check(regex.size() <= kMaxRegexBytes,
        "{}: a regular expression of {} bytes, more than the {} allowed", where, regex.size(),
        kMaxRegexBytes);
  const std::string pattern = pcre2_of_oniguruma(regex, where);
  int error = 0;
  size_t offset = 0;
  code_->where = where;
  code_->regex.reset(pcre2_compile(units(pattern), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                   nullptr));
  check(code_->regex != nullptr, "{}: the regular expression '{}' is broken: {}", where,
        printable(regex), message_of(error));
  uint32_t can_be_empty = 0;
  pcre2_pattern_info(code_->regex.get(), PCRE2_INFO_MATCHEMPTY, &can_be_empty);
  check(can_be_empty == 0, "{}: the regular expression '{}' matches the empty text: it must not",
        where, printable(regex));
  // Without permission to make code at run time this fails, and matching takes the slow way.
  pcre2_jit_compile(code_->regex.get(), PCRE2_JIT_COMPLETE);
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view text,
                         const std::function<void(std::string_view)>& word) const {
  const pcre2_code* regex = code_->regex.get();
  const Owned<pcre2_match_data> data(pcre2_match_data_create_from_pattern(regex, nullptr));
  const Owned<pcre2_match_context> context(pcre2_match_context_create(nullptr));
  ensure(data != nullptr && context != nullptr, "pcre2: out of memory");
  const size_t steps = std::max(kMinSteps, kStepsPerByte * text.size());
  pcre2_set_match_limit(context.get(), static_cast<uint32_t>(std::min<size_t>(steps, UINT32_MAX)));
  const auto match = [&](size_t from, uint32_t options) {
    return pcre2_match(regex, units(text), text.size(), from, options | PCRE2_NO_UTF_CHECK,
                       data.get(), context.get());
  };
  for (size_t done = 0; done < text.size();) {
    int result = match(done, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(done, PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return word(text.substr(done));
    check(result > 0, "{}: the regular expression fails on a text of {} bytes: {}", code_->where,
          text.size(), message_of(result));
    const size_t* span = pcre2_get_ovector_pointer(data.get());
    if (span[0] > done) word(text.substr(done, span[0] - done));
    word(text.substr(span[0], span[1] - span[0]));
    done = span[1];
  }
}

}  // namespace ll
