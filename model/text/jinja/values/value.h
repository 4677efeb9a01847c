#pragma once
// A value of a template, as Python has it. Small and freely copied; what it points to lives in an
// Arena or in the data that the template was given.
#include <cstdint>
#include <span>
#include <string_view>

namespace ll::jinja {

class Arena;
class Dict;
struct Activation;
struct Builtin;
struct Iterator;
struct LoopState;
struct Macro;
struct MacroValue;
struct Method;
struct NamespaceValue;
struct Sequence;
struct Undefined;

enum class Kind : uint8_t {
  kMissing,  // no value at all: a variable before it is set, an argument that was not given
  kUndefined,
  kNone,
  kBool,
  kInt,
  kBigInt,  // decimal digits, kept and printed only
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kLoop,
  kIterator,
  kFunction,
  kMethod,
  kMacro,
};

class Value {
 public:
  Value() : integer_(0) {}
  static Value none() { return Value(Kind::kNone); }
  static Value undefined(const Undefined* why) { return with(Kind::kUndefined, why); }
  static Value boolean(bool value) {
    Value v(Kind::kBool);
    v.integer_ = value;
    return v;
  }
  static Value integer(int64_t value) {
    Value v(Kind::kInt);
    v.integer_ = value;
    return v;
  }
  static Value real(double value) {
    Value v(Kind::kFloat);
    v.real_ = value;
    return v;
  }
  // Valid UTF-8. Text that is `safe` is not escaped again [markupsafe.Markup].
  static Value string(std::string_view text, bool safe = false) {
    Value v = with(Kind::kString, text.data());
    v.size_ = text.size();
    v.is_safe_ = safe;
    return v;
  }
  static Value big_integer(std::string_view digits) {
    Value v = string(digits);
    v.kind_ = Kind::kBigInt;
    return v;
  }
  static Value of(const Sequence* sequence) { return with(Kind::kSequence, sequence); }
  static Value of(const Dict* dict) { return with(Kind::kDict, dict); }
  static Value of(NamespaceValue* ns) { return with(Kind::kNamespace, ns); }
  static Value of(LoopState* loop) { return with(Kind::kLoop, loop); }
  static Value of(Iterator* iterator) { return with(Kind::kIterator, iterator); }
  static Value of(const Builtin* function) { return with(Kind::kFunction, function); }
  static Value of(const Method* method) { return with(Kind::kMethod, method); }
  static Value of(const MacroValue* macro) { return with(Kind::kMacro, macro); }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return kind_ == Kind::kMissing; }
  bool is_number() const { return kind_ >= Kind::kBool && kind_ <= Kind::kFloat; }
  bool is_whole() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }
  bool is_safe() const { return is_safe_; }

  bool as_bool() const { return integer_ != 0; }
  int64_t as_int() const { return integer_; }  // of a bool, too
  double as_double() const;                    // of any number
  std::string_view text() const { return {static_cast<const char*>(pointer_), size_}; }
  const Undefined& why() const { return *static_cast<const Undefined*>(pointer_); }
  const Sequence& sequence() const { return *static_cast<const Sequence*>(pointer_); }
  const Dict& dict() const { return *static_cast<const Dict*>(pointer_); }
  NamespaceValue& ns() const { return *static_cast<NamespaceValue*>(mutable_pointer()); }
  LoopState& loop() const { return *static_cast<LoopState*>(mutable_pointer()); }
  Iterator& iterator() const { return *static_cast<Iterator*>(mutable_pointer()); }
  const Builtin& function() const { return *static_cast<const Builtin*>(pointer_); }
  const Method& method() const { return *static_cast<const Method*>(pointer_); }
  const MacroValue& macro() const { return *static_cast<const MacroValue*>(pointer_); }
  const void* address() const { return pointer_; }

 private:
  explicit Value(Kind kind) : kind_(kind), integer_(0) {}
  static Value with(Kind kind, const void* pointer) {
    Value v(kind);
    v.pointer_ = pointer;
    return v;
  }
  void* mutable_pointer() const { return const_cast<void*>(pointer_); }

  Kind kind_ = Kind::kMissing;
  bool is_safe_ = false;
  union {
    int64_t integer_;
    double real_;
    const void* pointer_;
  };
  size_t size_ = 0;
};

// Why a value is undefined: what an error says when it is used.
struct Undefined {
  enum class Reason : uint8_t { kName, kMember, kHint };
  Reason reason = Reason::kName;
  std::string_view text;   // the name; the whole message for kHint
  std::string_view owner;  // kMember: the type whose member it would be, "dict object"
};

struct Sequence {
  enum class Flavor : uint8_t { kList, kTuple, kRange, kItems, kKeys, kValues };
  std::span<const Value> items;
  Flavor flavor = Flavor::kList;
  int64_t start = 0, stop = 0, step = 1;  // of a range

  bool is_list() const { return flavor == Flavor::kList; }
  bool is_tuple() const { return flavor == Flavor::kTuple; }
  bool is_view() const { return flavor >= Flavor::kItems; }  // of a dict: it has no subscripts
};

// A macro, and the variables around its definition.
struct MacroValue {
  std::string_view name;  // none for the body of a call block
  const Macro* macro;
  Activation* closure;
};

// An instance of a class with state that a template cannot change but by `next`.
struct Iterator {
  virtual bool next(Value& value) = 0;

 protected:
  ~Iterator() = default;
};

}  // namespace ll::jinja
