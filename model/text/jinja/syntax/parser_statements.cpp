#include <algorithm>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/syntax/parser.h"

namespace ll::jinja {

namespace {

// Deeper templates are refused before they exhaust the stack.
constexpr int kMaxDepth = 200;

}  // namespace

Parser::Level::Level(Parser& parser) : depth_(parser.depth_) {
  if (++depth_ > kMaxDepth)
    parser.fail_here(fmt::format("the template is nested deeper than {} levels", kMaxDepth));
}

void Parser::run() {
  program_.body = block({});
  if (!token().is(Kind::kEnd)) unexpected("a statement");
}

void Parser::unexpected(std::string_view wanted) const {
  std::string_view found = token().text;
  if (token().is(Kind::kEnd)) found = "end of the template";
  if (token().is(Kind::kBlockEnd)) found = "%}";
  if (token().is(Kind::kPrintEnd)) found = "}}";
  fail_here(fmt::format("expected {}, got '{}'", wanted, printable(found, 40)));
}

void Parser::expect_operator(std::string_view text) {
  if (!take_operator(text)) unexpected(fmt::format("'{}'", text));
}

void Parser::expect_name(std::string_view text) {
  if (!take_name(text)) unexpected(fmt::format("'{}'", text));
}

Token Parser::expect(Kind kind, std::string_view what) {
  if (!token().is(kind)) unexpected(what);
  return take();
}

Stmt* Parser::make(Stmt::Kind kind) {
  Stmt& stmt = program_.statements.emplace_back();
  stmt.kind = kind;
  stmt.line = token().line;
  return &stmt;
}

// Statements up to a block that begins with one of `ends`, which stays; to the end of the template
// when there are none.
Block Parser::block(std::initializer_list<std::string_view> ends) {
  Level level(*this);
  Block statements;
  for (;;) {
    if (token().is(Kind::kEnd)) {
      if (ends.size() != 0) unexpected(fmt::format("'{}'", *ends.begin()));
      return statements;
    }
    if (token().is(Kind::kData)) {
      Stmt* text = make(Stmt::Kind::kText);
      text->text = take().text;
      statements.push_back(text);
    } else if (token().is(Kind::kPrintBegin)) {
      take();
      Stmt* print = make(Stmt::Kind::kPrint);
      print->value = tuple(true);
      expect(Kind::kPrintEnd, "'}}'");
      statements.push_back(print);
    } else {
      bool at_end = next_token().is(Kind::kName) &&
                    std::find(ends.begin(), ends.end(), next_token().text) != ends.end();
      take();
      if (at_end) return statements;
      statements.push_back(statement());
      expect(Kind::kBlockEnd, "'%}'");
    }
  }
}

Stmt* Parser::statement() {
  struct Row {
    std::string_view name;
    Stmt* (Parser::*parse)();
  };
  constexpr Row kRows[] = {
      {"for", &Parser::for_statement},
      {"if", &Parser::if_statement},
      {"set", &Parser::set_statement},
      {"macro", &Parser::macro_statement},
      {"call", &Parser::call_statement},
      {"filter", &Parser::filter_statement},
      {"generation", &Parser::generation_statement},
      {"with", &Parser::with_statement},
  };
  if (!token().is(Kind::kName)) unexpected("the name of a block");
  for (const Row& row : kRows)
    if (take_name(row.name)) return (this->*row.parse)();
  for (auto [name, kind] :
       {std::pair("break", Stmt::Kind::kBreak), std::pair("continue", Stmt::Kind::kContinue)}) {
    if (!take_name(name)) continue;
    if (loops_ == 0) fail_here(fmt::format("'{}' outside of a loop", name));
    return make(kind);
  }
  fail_here(fmt::format("unknown tag '{}'", printable(token().text, 40)));
}

// The body of a block up to {% end %}.
Block Parser::body(std::string_view end) {
  expect(Kind::kBlockEnd, "'%}'");
  Block statements = block({end});
  take();
  return statements;
}

Stmt* Parser::for_statement() {
  Stmt* stmt = make(Stmt::Kind::kFor);
  stmt->target = target({"in"});
  expect_name("in");
  stmt->value = tuple(false, {"recursive"});
  Softness hard(*this, false);
  if (take_name("if")) stmt->condition = expression();
  if (is_name("recursive")) fail_here("recursive loops are not supported");
  expect(Kind::kBlockEnd, "'%}'");
  ++loops_;
  stmt->body = block({"endfor", "else"});
  --loops_;
  if (take_name("endfor")) return stmt;
  take();
  stmt->otherwise = body("endfor");
  return stmt;
}

Stmt* Parser::if_statement() {
  Level level(*this);
  Softness soft(*this, true);
  Stmt* stmt = make(Stmt::Kind::kIf);
  stmt->value = tuple(false);
  expect(Kind::kBlockEnd, "'%}'");
  stmt->body = block({"elif", "else", "endif"});
  Stmt* branch = stmt;
  while (take_name("elif")) {
    Stmt* other = make(Stmt::Kind::kIf);
    other->is_elif = true;
    other->value = tuple(false);
    expect(Kind::kBlockEnd, "'%}'");
    other->body = block({"elif", "else", "endif"});
    branch->otherwise.push_back(other);
    branch = other;
  }
  if (take_name("else"))
    branch->otherwise = body("endif");
  else
    take();
  return stmt;
}

Stmt* Parser::set_statement() {
  Stmt* stmt = make(Stmt::Kind::kSet);
  stmt->target = target({});
  if (take_operator("=")) {
    stmt->value = tuple(true);
    return stmt;
  }
  stmt->kind = Stmt::Kind::kSetBlock;
  if (is_operator("|")) stmt->value = filter_chain();
  Softness hard(*this, false);
  stmt->body = body("endset");
  return stmt;
}

void Parser::signature(Macro& macro) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    Expr* parameter = make(Expr::Kind::kName);
    parameter->name = expect(Kind::kName, "the name of a parameter").text;
    macro.parameters.push_back(parameter);
    if (take_operator("="))
      macro.defaults.push_back(expression());
    else if (!macro.defaults.empty())
      fail_here("non-default argument follows default argument");
  }
  take();
}

void Parser::macro_body(Macro& macro, std::string_view end) {
  Softness hard(*this, false);
  int loops = std::exchange(loops_, 0);
  macros_.push_back(&macro);
  macro.body = body(end);
  macros_.pop_back();
  loops_ = loops;
}

Stmt* Parser::macro_statement() {
  Stmt* stmt = make(Stmt::Kind::kMacro);
  stmt->target = make(Expr::Kind::kName);
  stmt->target->name = expect(Kind::kName, "the name of a macro").text;
  stmt->macro = &program_.macros.emplace_back();
  stmt->macro->name = stmt->target->name;
  signature(*stmt->macro);
  macro_body(*stmt->macro, "endmacro");
  return stmt;
}

Stmt* Parser::call_statement() {
  Stmt* stmt = make(Stmt::Kind::kCallBlock);
  stmt->macro = &program_.macros.emplace_back();
  if (is_operator("(")) signature(*stmt->macro);
  stmt->value = expression();
  if (stmt->value->kind != Expr::Kind::kCall) fail_here("expected a call");
  macro_body(*stmt->macro, "endcall");
  return stmt;
}

Stmt* Parser::filter_statement() {
  Stmt* stmt = make(Stmt::Kind::kFilterBlock);
  Softness hard(*this, false);
  stmt->value = filter(nullptr);
  stmt->value = is_operator("|") ? filters(stmt->value) : stmt->value;
  stmt->body = body("endfilter");
  return stmt;
}

Stmt* Parser::generation_statement() {
  Stmt* stmt = make(Stmt::Kind::kScope);
  Softness hard(*this, false);
  int loops = std::exchange(loops_, 0);
  stmt->body = body("endgeneration");
  loops_ = loops;
  return stmt;
}

Stmt* Parser::with_statement() {
  Stmt* stmt = make(Stmt::Kind::kWith);
  while (!token().is(Kind::kBlockEnd)) {
    if (!stmt->bindings.empty()) expect_operator(",");
    Expr* name = target({});
    expect_operator("=");
    stmt->bindings.emplace_back(name, expression());
  }
  Softness hard(*this, false);
  stmt->body = body("endwith");
  return stmt;
}

Expr* Parser::target_item() {
  if (take_operator("(")) {
    Expr* nested = target({});
    expect_operator(")");
    return nested;
  }
  Token name = expect(Kind::kName, "a variable");
  for (std::string_view constant : {"true", "True", "false", "False", "none", "None"})
    if (name.text == constant) fail_here(fmt::format("can't assign to '{}'", name.text));
  Expr* item = make(Expr::Kind::kName);
  item->name = name.text;
  if (!take_operator(".")) return item;
  item->kind = Expr::Kind::kNamespaceRef;
  item->value = Value::string(expect(Kind::kName, "the name of an attribute").text);
  return item;
}

// A variable, ns.x, or a tuple of them.
Expr* Parser::target(std::initializer_list<std::string_view> ends) {
  Level level(*this);
  Expr* first = target_item();
  if (!is_operator(",")) return first;
  Expr* all = make(Expr::Kind::kTuple);
  all->items.push_back(first);
  while (take_operator(",") && !at_tuple_end(ends) && !is_operator("="))
    all->items.push_back(target_item());
  return all;
}

}  // namespace ll::jinja
