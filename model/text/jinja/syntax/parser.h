#pragma once
// Tokens to the tree. Grammar and precedence are Jinja's: "~" binds tighter than "+", "is" and "|"
// tighter than "not".
#include <initializer_list>
#include <string_view>
#include <vector>

#include "model/text/jinja/syntax/lexer.h"
#include "model/text/jinja/syntax/syntax.h"

namespace ll::jinja {

class Parser {
 public:
  // Fills the program's body. Throws Error with the line.
  Parser(std::vector<Token> tokens, Program& program)
      : tokens_(std::move(tokens)), program_(program) {}
  void run();

 private:
  using Kind = Token::Kind;

  // Counts how deep the parser stands in itself.
  class Level {
   public:
    explicit Level(Parser& parser);
    ~Level() { --depth_; }

   private:
    int& depth_;
  };
  // Sets whether filters that nobody knows are errors only where they are reached.
  class Softness {
   public:
    Softness(Parser& parser, bool soft) : soft_(parser.soft_), before_(parser.soft_) {
      soft_ = soft;
    }
    ~Softness() { soft_ = before_; }

   private:
    bool& soft_;
    bool before_;
  };

  const Token& token() const { return tokens_[at_]; }
  const Token& next_token() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_operator(std::string_view text) const { return token().is(Kind::kOperator, text); }
  bool is_name(std::string_view text) const { return token().is(Kind::kName, text); }
  bool take_operator(std::string_view text) { return is_operator(text) && (take(), true); }
  bool take_name(std::string_view text) { return is_name(text) && (take(), true); }
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  Token expect(Kind kind, std::string_view what);
  [[noreturn]] void fail_here(std::string_view what) const { fail_at(token().line, what); }
  [[noreturn]] void unexpected(std::string_view wanted) const;

  Expr* make(Expr::Kind kind, Expr* a = nullptr, Expr* b = nullptr);
  Stmt* make(Stmt::Kind kind);
  Expr* constant(const Value& value);

  // Statements.
  Block block(std::initializer_list<std::string_view> ends);
  Stmt* statement();
  Stmt* for_statement();
  Stmt* if_statement();
  Stmt* set_statement();
  Stmt* macro_statement();
  Stmt* call_statement();
  Stmt* filter_statement();
  Stmt* generation_statement();
  Stmt* with_statement();
  Block body(std::string_view end);
  void macro_body(Macro& macro, std::string_view end);
  void signature(Macro& macro);
  Expr* target(std::initializer_list<std::string_view> ends);
  Expr* target_item();

  // Expressions, from the loosest binding to the tightest.
  Expr* tuple(bool with_condition, std::initializer_list<std::string_view> ends = {});
  bool at_tuple_end(std::initializer_list<std::string_view> ends) const;
  Expr* expression() { return condition(); }
  Expr* condition();
  Expr* disjunction();
  Expr* conjunction();
  Expr* negation();
  Expr* comparison();
  bool comparing_operator(Operator& op);
  Expr* sum();
  Expr* concatenation();
  Expr* product();
  Expr* power();
  Expr* unary(bool with_filter);
  Expr* primary();
  Expr* name_or_constant();
  Expr* number();
  Expr* postfix(Expr* value);
  Expr* filters(Expr* value);
  Expr* filter(Expr* value);
  Expr* filter_chain();  // of a filter block, without its input
  Expr* test(Expr* value);
  Expr* subscript(Expr* value);
  Expr* subscript_index();
  Expr* call(Expr* callee);
  void call_arguments(Expr& call);
  Expr* list();
  Expr* dict();
  std::string_view dotted_name();

  std::vector<Token> tokens_;
  size_t at_ = 0;
  Program& program_;
  std::vector<Macro*> macros_;  // that are open
  int depth_ = 0, loops_ = 0;
  bool soft_ = false;
};

}  // namespace ll::jinja
