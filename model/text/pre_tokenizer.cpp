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
// The budget of a text: far more than linear walks take, far fewer than bombs.
constexpr size_t kMinSteps = 100'000, kStepsPerByte = 64;
// What a match may look at, and how far it may backtrack, before that is counted.
constexpr size_t kWindowBytes = 1024, kFreeSteps = 1024;

constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
struct CharacterClass {
  std::string_view name, members;
};
// With what Unicode 15 and 16 added.
constexpr CharacterClass kClasses[] = {
    {R"(\p{L})", R"(\p{L}\x{1c89}\x{1c8a}\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{105c0}-\x{105f3})"
                 R"(\x{10d4a}-\x{10d65}\x{10d6f}-\x{10d85}\x{10ec2}-\x{10ec4}\x{1123f}\x{11240})"
                 R"(\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1})"
                 R"(\x{113d3}\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33})"
                 R"(\x{1342f}\x{13441}-\x{13446}\x{13460}-\x{143fa}\x{16100}-\x{1611d})"
                 R"(\x{16d40}-\x{16d6c}\x{18cff}\x{1b132}\x{1b155}\x{1df25}-\x{1df2a})"
                 R"(\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb}\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739})"
                 R"(\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})"},
    {R"(\p{N})", R"(\p{N}\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9})"
                 R"(\x{11f50}-\x{11f59}\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9})"
                 R"(\x{1d2c0}-\x{1d2d3}\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})"},
    {R"(\p{M})", R"(\p{M}\x{897}\x{cf3}\x{ece}\x{10d69}-\x{10d6d}\x{10efc}-\x{10eff}\x{11241})"
                 R"(\x{113b8}-\x{113c0}\x{113c2}\x{113c5}\x{113c7}-\x{113ca}\x{113cc}-\x{113d0})"
                 R"(\x{113d2}\x{113e1}-\x{113e2}\x{11f00}-\x{11f01}\x{11f03}\x{11f34}-\x{11f3a})"
                 R"(\x{11f3e}-\x{11f42}\x{11f5a}\x{13440}\x{13447}-\x{13455}\x{1611e}-\x{1612f})"
                 R"(\x{1e08f}\x{1e4ec}-\x{1e4ef}\x{1e5ee}-\x{1e5ef})"},
    {R"(\p{P})", R"(\p{P}\x{1b4e}-\x{1b4f}\x{1b7f}\x{10d6e}\x{113d4}-\x{113d5}\x{113d7}-\x{113d8})"
                 R"(\x{11b00}-\x{11b09}\x{11be1}\x{11f43}-\x{11f4f}\x{16d6d}-\x{16d6f}\x{1e5ff})"},
    {R"(\p{S})", R"(\p{S}\x{2427}-\x{2429}\x{2ffc}-\x{2fff}\x{31e4}-\x{31e5}\x{31ef})"
                 R"(\x{10d8e}-\x{10d8f}\x{1cc00}-\x{1ccef}\x{1cd00}-\x{1ceb3}\x{1f6dc})"
                 R"(\x{1f774}-\x{1f776}\x{1f77b}-\x{1f77f}\x{1f7d9}\x{1f8b2}-\x{1f8bb})"
                 R"(\x{1f8c0}-\x{1f8c1}\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89}\x{1fa8f})"
                 R"(\x{1faad}-\x{1faaf}\x{1fabb}-\x{1fabf}\x{1fac6}\x{1face}-\x{1facf})"
                 R"(\x{1fada}-\x{1fadc}\x{1fadf}\x{1fae8}-\x{1fae9}\x{1faf7}-\x{1faf8})"
                 R"(\x{1fbcb}-\x{1fbef})"},
    {R"(\p{Lu})", R"(\p{Lu}\x{1c89}\x{a7cb}-\x{a7cc}\x{a7da}\x{a7dc}\x{10d50}-\x{10d65})"},
    {R"(\p{Ll})", R"(\p{Ll}\x{1c8a}\x{a7cd}\x{a7db}\x{10d70}-\x{10d85}\x{1df25}-\x{1df2a})"},
    {R"(\p{Lt})", R"(\p{Lt})"},
    {R"(\p{Lm})", R"(\p{Lm}\x{10d4e}\x{10d6f}\x{16d40}-\x{16d42}\x{16d6b}-\x{16d6c})"
                  R"(\x{1e030}-\x{1e06d}\x{1e4eb})"},
    {R"(\p{Lo})", R"(\p{Lo}\x{105c0}-\x{105f3}\x{10d4a}-\x{10d4d}\x{10d4f}\x{10ec2}-\x{10ec4})"
                  R"(\x{1123f}-\x{11240}\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5})"
                  R"(\x{113b7}\x{113d1}\x{113d3}\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10})"
                  R"(\x{11f12}-\x{11f33}\x{1342f}\x{13441}-\x{13446}\x{13460}-\x{143fa})"
                  R"(\x{16100}-\x{1611d}\x{16d43}-\x{16d6a}\x{18cff}\x{1b132}\x{1b155})"
                  R"(\x{1e4d0}-\x{1e4ea}\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739}\x{2ebf0}-\x{2ee5d})"
                  R"(\x{31350}-\x{323af})"},
    {R"(\p{Nd})", R"(\p{Nd}\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9})"
                  R"(\x{11f50}-\x{11f59}\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9})"
                  R"(\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})"},
};

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
    for (const CharacterClass& known : kClasses)
      if (take(known.name)) return set(known.members, false);
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
    char c = rest_[0];
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
  std::string pattern = pcre2_of_oniguruma(regex, where);
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
  pcre2_jit_compile(code_->regex.get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

namespace {

// Matches of one text, within its budget. A match is looked for in a window first: most end long
// before it, and what needs more of the text, or backtracks, is counted and tried with more.
class Matcher {
 public:
  Matcher(const pcre2_code* regex, std::string_view text, std::string_view where,
          RegexBudget& budget)
      : regex_(regex),
        text_(text),
        where_(where),
        budget_(budget),
        data_(pcre2_match_data_create_from_pattern(regex, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    ensure(data_ != nullptr && context_ != nullptr, "pcre2: out of memory");
  }

  // The first match from `from` on; false when there is none.
  bool next(size_t from, size_t& begin, size_t& end) {
    size_t window = kWindowBytes, steps = kFreeSteps;
    for (;;) {
      size_t stop = window_end(from, window);
      int result = match(from, stop, steps);
      if (result > 0) {
        size_t* span = pcre2_get_ovector_pointer(data_.get());
        begin = span[0];
        end = span[1];
        return true;
      }
      if (result == PCRE2_ERROR_NOMATCH && stop == text_.size()) return false;
      if (result == PCRE2_ERROR_NOMATCH) {
        from = stop;  // no match begins before it
      } else if (result == PCRE2_ERROR_PARTIAL) {
        charge(window);
        window *= 4;
      } else if (result == PCRE2_ERROR_MATCHLIMIT) {
        charge(steps);
        steps = std::min(steps * 4, size_t{UINT32_MAX});
      } else {
        fail("{}: the regular expression fails on a text of {} bytes: {}", where_, text_.size(),
             message_of(result));
      }
    }
  }

 private:
  // Between two characters.
  size_t window_end(size_t from, size_t window) const {
    if (window >= text_.size() - from) return text_.size();
    size_t end = from + window;
    while ((static_cast<unsigned char>(text_[end]) & 0xC0) == 0x80) --end;
    return end;
  }

  int match(size_t from, size_t stop, size_t steps) {
    pcre2_set_match_limit(context_.get(), static_cast<uint32_t>(steps));
    uint32_t options = PCRE2_NO_UTF_CHECK | (stop < text_.size() ? PCRE2_PARTIAL_HARD : 0);
    int result =
        pcre2_match(regex_, units(text_), stop, from, options, data_.get(), context_.get());
    if (result != PCRE2_ERROR_JIT_STACKLIMIT) return result;
    return pcre2_match(regex_, units(text_), stop, from, options | PCRE2_NO_JIT, data_.get(),
                       context_.get());
  }

  void charge(size_t steps) {
    check(budget_.take(steps),
          "{}: the regular expression takes too many steps on a text of {} bytes", where_,
          text_.size());
  }

  const pcre2_code* regex_;
  std::string_view text_, where_;
  RegexBudget& budget_;
  Owned<pcre2_match_data> data_;
  Owned<pcre2_match_context> context_;
};

}  // namespace

RegexBudget::RegexBudget(size_t text_bytes)
    : steps_left_(std::max(kMinSteps, kStepsPerByte * text_bytes)) {}

void PreTokenizer::split(std::string_view text, RegexBudget& budget, const Piece& piece) const {
  Matcher matcher(code_->regex.get(), text, code_->where, budget);
  size_t begin = 0, end = 0;
  for (size_t done = 0; done < text.size(); done = end) {
    if (!matcher.next(done, begin, end)) return piece(text.substr(done), false);
    if (begin > done) piece(text.substr(done, begin - done), false);
    piece(text.substr(begin, end - begin), true);
  }
}

}  // namespace ll
