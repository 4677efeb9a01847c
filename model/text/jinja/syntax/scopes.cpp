#include "model/text/jinja/syntax/scopes.h"

#include "base/check.h"
#include "model/text/jinja/syntax/lexer.h"
#include "model/text/jinja/syntax/scope.h"

namespace ll::jinja {

namespace {

// Long chains of operators nest as deep as they are long.
constexpr int kMaxScopes = 1000;

class Depth {
 public:
  Depth(int& depth, int line) : depth_(depth) {
    if (++depth_ > kMaxScopes)
      fail_at(line, fmt::format("the template is nested deeper than {} levels", kMaxScopes));
  }
  ~Depth() { --depth_; }

 private:
  int& depth_;
};

// Visits the expressions below one.
template <class Visit>
void for_each_child(const Expr& expr, Visit visit) {
  for (Expr* child : {expr.a, expr.b, expr.c, expr.step})
    if (child != nullptr) visit(*child);
  for (Expr* item : expr.items) visit(*item);
  for (const auto& [op, item] : expr.comparisons) visit(*item);
  for (const Argument& argument : expr.arguments) visit(*argument.value);
}

// Collects what one scope loads and stores, without what scopes inside of it do.
class Analyzer {
 public:
  Analyzer(Scope& scope, Program& program, int& depth)
      : scope_(&scope), program_(program), depth_(depth) {}

  void load(const Expr& expr) {
    Depth depth(depth_, expr.line);
    if (expr.kind == Expr::Kind::kName) scope_->load(expr.name, program_);
    for_each_child(expr, [&](const Expr& child) { load(child); });
  }
  void store(const Expr& target) {
    if (target.kind == Expr::Kind::kName) scope_->store(target.name);
    if (target.kind == Expr::Kind::kNamespaceRef) scope_->load(target.name, program_);
    for (Expr* item : target.items) store(*item);
  }
  void declare(const Expr& target) {
    if (target.kind == Expr::Kind::kName) scope_->declare_parameter(target.name);
    if (target.kind == Expr::Kind::kNamespaceRef) scope_->load(target.name, program_);
    for (Expr* item : target.items) declare(*item);
  }
  void visit(const Block& block) {
    for (const Stmt* stmt : block) visit(*stmt);
  }

 private:
  void visit(const Stmt& stmt) {
    Depth depth(depth_, stmt.line);
    switch (stmt.kind) {
      case Stmt::Kind::kIf:
        return branches(stmt);
      case Stmt::Kind::kSet:
        load(*stmt.value);
        return store(*stmt.target);
      case Stmt::Kind::kSetBlock:
      case Stmt::Kind::kMacro:
        return store(*stmt.target);
      case Stmt::Kind::kWith:
        for (const auto& [target, value] : stmt.bindings) load(*value);
        return;
      case Stmt::Kind::kPrint:
      case Stmt::Kind::kFor:
      case Stmt::Kind::kCallBlock:
      case Stmt::Kind::kFilterBlock:
        return load(*stmt.value);
      default:
        return;
    }
  }

  // An if and the elifs behind it are branches side by side; their conditions are part of the
  // scope.
  void branches(const Stmt& stmt) {
    load(*stmt.value);
    std::vector<Scope> found;
    const Block* otherwise = &stmt.otherwise;
    branch(found, [&] { visit(stmt.body); });
    Scope* outer = scope_;
    Scope elifs = *scope_;
    scope_ = &elifs;
    while (otherwise->size() == 1 && otherwise->front()->is_elif) {
      const Stmt& elif = *otherwise->front();
      load(*elif.value);
      visit(elif.body);
      otherwise = &elif.otherwise;
    }
    scope_ = outer;
    found.push_back(elifs);
    branch(found, [&] { visit(*otherwise); });
    scope_->merge_branches(found, program_);
  }

  template <class Visit>
  void branch(std::vector<Scope>& found, Visit visit) {
    Scope* outer = scope_;
    Scope copy = *scope_;
    scope_ = &copy;
    visit();
    scope_ = outer;
    found.push_back(copy);
  }

  Scope* scope_;
  Program& program_;
  int& depth_;
};

// Gives every name its slot, scope by scope.
class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    FunctionScope function;
    Scope scope(nullptr, function);
    analyze(scope).visit(program_.body);
    resolve(program_.body, scope);
    program_.loads = scope.loads();
    program_.num_slots = function.num_slots;
  }

 private:
  Analyzer analyze(Scope& scope) { return Analyzer(scope, program_, depth_); }

  void resolve(const Block& block, Scope& scope) {
    for (Stmt* stmt : block) resolve(*stmt, scope);
  }

  void resolve(Stmt& stmt, Scope& scope) {
    Depth depth(depth_, stmt.line);
    switch (stmt.kind) {
      case Stmt::Kind::kFor:
        return resolve_for(stmt, scope);
      case Stmt::Kind::kMacro:
        resolve(*stmt.target, scope);
        return resolve_macro(*stmt.macro, scope);
      case Stmt::Kind::kCallBlock:
        resolve(*stmt.value, scope);
        return resolve_macro(*stmt.macro, scope);
      case Stmt::Kind::kSetBlock:
        resolve(*stmt.target, scope);
        return resolve_inner(stmt, scope, false);
      case Stmt::Kind::kFilterBlock:
        return resolve_inner(stmt, scope, true);
      case Stmt::Kind::kScope:
        return resolve_inner(stmt, scope, false);
      case Stmt::Kind::kWith:
        return resolve_with(stmt, scope);
      default:
        if (stmt.target != nullptr) resolve(*stmt.target, scope);
        if (stmt.value != nullptr) resolve(*stmt.value, scope);
        resolve(stmt.body, scope);
        return resolve(stmt.otherwise, scope);
    }
  }

  void resolve(Expr& expr, Scope& scope) {
    Depth depth(depth_, expr.line);
    if (expr.kind == Expr::Kind::kName || expr.kind == Expr::Kind::kNamespaceRef)
      expr.slot = scope.find(expr.name);
    for_each_child(expr, [&](Expr& child) { resolve(child, scope); });
  }

  void resolve_for(Stmt& stmt, Scope& outer) {
    resolve(*stmt.value, outer);
    Scope body(&outer, outer.function());
    stmt.loop_slot = body.declare_parameter("loop");
    Analyzer analyzer = analyze(body);
    analyzer.declare(*stmt.target);
    analyzer.visit(stmt.body);
    if (stmt.condition != nullptr) {
      Scope test(&outer, outer.function());
      Analyzer tested = analyze(test);
      tested.declare(*stmt.target);
      tested.load(*stmt.condition);
      stmt.condition_target = copy_target(*stmt.target, test);
      resolve(*stmt.condition, test);
      stmt.condition_loads = test.loads();
    }
    resolve(*stmt.target, body);
    resolve(stmt.body, body);
    stmt.loads = body.loads();
    Scope otherwise(&outer, outer.function());
    analyze(otherwise).visit(stmt.otherwise);
    resolve(stmt.otherwise, otherwise);
    stmt.otherwise_loads = otherwise.loads();
  }

  // The target of a loop as its condition sees it.
  Expr* copy_target(const Expr& target, Scope& scope) {
    Expr& copy = program_.expressions.emplace_back(target);
    for (Expr*& item : copy.items) item = copy_target(*item, scope);
    if (copy.kind != Expr::Kind::kTuple) copy.slot = scope.find(copy.name);
    return &copy;
  }

  // A scope of the same function: set block, filter block, generation.
  void resolve_inner(Stmt& stmt, Scope& outer, bool loads_value) {
    Scope inner(&outer, outer.function());
    Analyzer analyzer = analyze(inner);
    analyzer.visit(stmt.body);
    if (loads_value) analyzer.load(*stmt.value);
    if (stmt.value != nullptr) resolve(*stmt.value, inner);
    resolve(stmt.body, inner);
    stmt.loads = inner.loads();
  }

  void resolve_with(Stmt& stmt, Scope& outer) {
    Scope inner(&outer, outer.function());
    Analyzer analyzer = analyze(inner);
    for (const auto& [target, value] : stmt.bindings) analyzer.store(*target);
    analyzer.visit(stmt.body);
    for (const auto& [target, value] : stmt.bindings) {
      resolve(*value, outer);
      resolve(*target, inner);
    }
    resolve(stmt.body, inner);
    stmt.loads = inner.loads();
  }

  void resolve_macro(Macro& macro, Scope& outer) {
    FunctionScope function{&outer.function()};
    Scope scope(&outer, function);
    Analyzer analyzer = analyze(scope);
    for (Expr* parameter : macro.parameters) analyzer.declare(*parameter);
    if (macro.uses_caller) macro.caller = scope.declare_parameter("caller");
    if (macro.uses_varargs) macro.varargs = scope.declare_parameter("varargs");
    if (macro.uses_kwargs) macro.kwargs = scope.declare_parameter("kwargs");
    for (Expr* value : macro.defaults) analyzer.load(*value);
    analyzer.visit(macro.body);
    for (Expr* parameter : macro.parameters) resolve(*parameter, scope);
    for (Expr* value : macro.defaults) resolve(*value, scope);
    resolve(macro.body, scope);
    macro.loads = scope.loads();
    macro.num_slots = function.num_slots;
  }

  Program& program_;
  int depth_ = 0;
};

}  // namespace

void resolve_names(Program& program) { Resolver(program).run(); }

}  // namespace ll::jinja
