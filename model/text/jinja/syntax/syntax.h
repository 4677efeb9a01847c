#pragma once
// The tree of a template.
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/value.h"

namespace ll::jinja {

struct Builtin;

// What an attribute of this name means on the types that have methods; null where they have none.
struct MethodsOfName {
  const Builtin *of_text = nullptr, *of_list = nullptr, *of_tuple = nullptr, *of_dict = nullptr;
};

// What a template's names mean, each nullptr when there is none of that name.
struct Builtins {
  const Builtin* (*filter)(std::string_view name);
  const Builtin* (*test)(std::string_view name);
  const Builtin* (*function)(std::string_view name);
  const Builtin* (*loop_method)(std::string_view name);
  MethodsOfName (*methods)(std::string_view name);
};

// A variable: so many functions outward, and its place there.
struct SlotRef {
  int depth = 0;
  int slot = -1;
};

struct Expr;
struct Argument {
  Expr* value = nullptr;
  std::string_view name;  // of a keyword argument
  int stars = 0;          // *list or **dict
};

struct Expr {
  enum class Kind : uint8_t {
    kConstant,
    kName,
    kNamespaceRef,  // ns.x, as a target
    kAttribute,
    kItem,
    kSlice,
    kCall,
    kFilter,
    kTest,
    kNot,
    kNegative,
    kPositive,
    kCompute,
    kAnd,
    kOr,
    kCompare,
    kConcat,
    kCondition,
    kList,
    kTuple,
    kDict,
  };
  Kind kind = Kind::kConstant;
  Operator op = Operator::kAdd;  // of kCompute
  int line = 0;
  Value value;                                    // of kConstant
  std::string_view name;                          // variable, attribute, filter, test
  SlotRef slot;                                   // of kName and kNamespaceRef
  Expr *a = nullptr, *b = nullptr, *c = nullptr;  // kCondition: test, then, else (may be null)
  Expr* step = nullptr;                           // kSlice: a[b:c:step], where each may be null
  std::vector<Expr*> items;                       // kDict: keys and values in turn
  std::vector<std::pair<Operator, Expr*>> comparisons;
  std::vector<Argument> arguments;
  const Builtin* builtin = nullptr;  // of kFilter and kTest; null for one that nobody knows
  MethodsOfName methods;             // of kAttribute
};

// What a variable of a scope begins with.
struct Load {
  enum class From : uint8_t { kMissing, kContext, kSlot };
  int slot = 0;  // of the innermost function
  From from = From::kMissing;
  int context = 0;  // index of the name in Program::context_names
  SlotRef source;
};
using Loads = std::vector<Load>;

struct Stmt;
using Block = std::vector<Stmt*>;

struct Macro {
  std::string_view name;
  std::vector<Expr*> parameters;  // names
  std::vector<Expr*> defaults;    // of the last parameters
  Block body;
  Loads loads;
  int num_slots = 0;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  int caller = -1, varargs = -1, kwargs = -1;  // slots; -1 where the body does not use it
};

struct Stmt {
  enum class Kind : uint8_t {
    kText,
    kPrint,
    kFor,
    kIf,
    kSet,
    kSetBlock,
    kMacro,
    kCallBlock,
    kFilterBlock,
    kScope,  // generation
    kWith,
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kText;
  int line = 0;
  std::string_view text;
  Expr* target = nullptr;
  Expr* value = nullptr;  // printed, iterated over, tested, set, called, or a chain of filters
  Expr *condition = nullptr, *condition_target = nullptr;  // of kFor
  Block body, otherwise;                                   // an elif is an if in `otherwise`
  bool is_elif = false;
  std::vector<std::pair<Expr*, Expr*>> bindings;  // of kWith
  Macro* macro = nullptr;                         // of kMacro and kCallBlock
  Loads loads, condition_loads, otherwise_loads;
  int loop_slot = -1;  // of kFor
};

struct Program {
  // The builtins outlive this.
  Program(std::string text, const Builtins& builtins)
      : source(std::move(text)), builtins(builtins), arena(size_t{64} << 20) {}

  std::string source;
  const Builtins& builtins;
  Arena arena;
  std::string name;  // in errors
  std::deque<Expr> expressions;
  std::deque<Stmt> statements;
  std::deque<Macro> macros;
  Block body;
  Loads loads;
  int num_slots = 0;
  std::vector<std::string_view> context_names;
};

}  // namespace ll::jinja
