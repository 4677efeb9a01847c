#pragma once
// Runs a template's tree on some data.
#include <string>
#include <vector>

#include "base/json_tree.h"
#include "model/text/jinja/evaluator/builtin.h"
#include "model/text/jinja/evaluator/render_limits.h"
#include "model/text/jinja/syntax/syntax.h"
#include "model/text/jinja/values/dict.h"
#include "model/text/jinja/values/loop_state.h"
#include "model/text/jinja/values/render_meter.h"

namespace ll::jinja {

// Variables of a function's call.
struct Activation {
  Value* slots;
  Activation* parent;
};

class Evaluator {
 public:
  // The program and the variables outlive this.
  Evaluator(const Program& program, const JsonTree& variables, const RenderLimits& limits);

  std::string run();

  // For builtins.
  Arena& arena() { return arena_; }
  void charge(size_t steps) { meter_.charge(steps); }
  Value attribute(const Value& object, std::string_view name, const MethodsOfName& methods);
  Value attribute(const Value& object, std::string_view name) {
    return attribute(object, name, program_.builtins.methods(name));
  }
  Value item(const Value& object, const Value& index);
  Value call(const Value& callee, const Arguments& arguments);
  Value call(const Builtin& builtin, const Value& self, const Arguments& arguments);
  Value text(std::string_view text) { return Value::string(arena_.copy(text)); }
  Value list(std::span<const Value> items, Sequence::Flavor flavor = Sequence::Flavor::kList);
  Value undefined(std::string_view message);
  // A filter's or a test's name that came as a value.
  const Builtin& filter_named(const Value& name);
  const Builtin& test_named(const Value& name);

 private:
  friend class LoopFilter;

  enum class Flow : uint8_t { kNormal, kBreak, kContinue };
  class Level {
   public:
    explicit Level(Evaluator& evaluator) : depth_(evaluator.depth_) {
      if (++depth_ > kMaxDepth) refuse();
    }
    ~Level() { --depth_; }

   private:
    [[noreturn]] static void refuse();
    int& depth_;
  };
  // What is printed while this lives goes into a text of its own.
  class Capture {
   public:
    explicit Capture(Evaluator& evaluator) : evaluator_(evaluator), outer_(evaluator.out_) {
      evaluator.out_ = &text_;
    }
    ~Capture() { evaluator_.out_ = outer_; }
    Value take();

   private:
    Evaluator& evaluator_;
    std::string* outer_;
    std::string text_;
  };

  static constexpr int kMaxDepth = 1500;

  // Statements.
  Flow run(const Block& block);
  Flow run(const Stmt& stmt);
  void print(std::string_view text);
  void print(const Value& value);
  Flow run_for(const Stmt& stmt);
  Flow run_if(const Stmt& stmt);
  Flow run_inner(const Stmt& stmt);
  void run_with(const Stmt& stmt);
  void run_call_block(const Stmt& stmt);
  void load(const Loads& loads);
  void assign(const Expr& target, const Value& value);
  void assign_attribute(const Expr& target, const Value& value);

  // Expressions.
  Value eval(const Expr& expr);
  Value eval_name(const Expr& expr);
  Value eval_slice(const Expr& expr);
  // `caller` is what a call block passes; kMissing for a plain call.
  Value eval_call(const Expr& expr, const Value& caller = {});
  Value eval_filter(const Expr& expr, const Value& input);
  Value eval_filter_chain(const Expr& expr, const Value& input);
  Value eval_test(const Expr& expr);
  Value eval_compute(const Expr& expr);
  Value eval_compare(const Expr& expr);
  Value eval_concat(const Expr& expr);
  Value eval_condition(const Expr& expr);
  Value eval_items(const Expr& expr, Sequence::Flavor flavor);
  Value eval_dict(const Expr& expr);
  Value call_with(const Value& callee, const Expr& expr, const Value& caller = {});
  Value macro_value(const Macro& macro) {
    return Value::of(arena_.make<MacroValue>(macro.name, &macro, here_));
  }
  Value call_macro(const MacroValue& macro, const Arguments& arguments);
  void bind_macro(const Macro& macro, const Arguments& arguments);
  Value& slot(SlotRef ref);
  Value missing_member(const Value& object, std::string_view name);
  Value missing_item(const Value& object, const Value& index);
  Value loop_attribute(LoopState& loop, std::string_view name);

  const Program& program_;
  RenderMeter meter_;
  Arena arena_;
  std::vector<Value> context_;
  Activation* here_ = nullptr;
  std::string* out_ = nullptr;
  RenderLimits limits_;
  size_t output_left_;
  int depth_ = 0, num_loops_ = 0;
  int line_ = 1;  // of what runs
};

// Throws Error for a name that a namespace may not hold.
void check_attribute_name(std::string_view name);

// The value of some JSON, whose texts are not copied.
Value value_of_json(const JsonTree& tree, Arena& arena);

}  // namespace ll::jinja
