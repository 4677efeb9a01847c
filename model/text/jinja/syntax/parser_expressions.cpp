#include <charconv>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/syntax/parser.h"

namespace ll::jinja {

Expr* Parser::make(Expr::Kind kind, Expr* a, Expr* b) {
  Expr& expr = program_.expressions.emplace_back();
  expr.kind = kind;
  expr.line = token().line;
  expr.a = a;
  expr.b = b;
  return &expr;
}

Expr* Parser::constant(const Value& value) {
  Expr* expr = make(Expr::Kind::kConstant);
  expr->value = value;
  return expr;
}

bool Parser::at_tuple_end(std::initializer_list<std::string_view> ends) const {
  if (token().is(Kind::kPrintEnd) || token().is(Kind::kBlockEnd) || is_operator(")")) return true;
  for (std::string_view end : ends)
    if (is_name(end)) return true;
  return false;
}

// An expression, or several between commas.
Expr* Parser::tuple(bool with_condition, std::initializer_list<std::string_view> ends) {
  std::vector<Expr*> items;
  bool has_comma = false;
  while (!at_tuple_end(ends)) {
    items.push_back(with_condition ? expression() : disjunction());
    if (!is_operator(",")) break;
    has_comma = true;
    take();
  }
  if (!has_comma && items.size() == 1) return items[0];
  if (items.empty()) unexpected("an expression");
  Expr* all = make(Expr::Kind::kTuple);
  all->items = std::move(items);
  return all;
}

Expr* Parser::condition() {
  Level level(*this);
  Expr* value = disjunction();
  while (take_name("if")) {
    Softness soft(*this, true);
    Expr* choice = make(Expr::Kind::kCondition, disjunction(), value);
    if (take_name("else")) choice->c = condition();
    value = choice;
  }
  return value;
}

Expr* Parser::disjunction() {
  Expr* left = conjunction();
  while (take_name("or")) {
    Expr* right = conjunction();
    left = make(Expr::Kind::kOr, left, right);
  }
  return left;
}

Expr* Parser::conjunction() {
  Expr* left = negation();
  while (take_name("and")) {
    Expr* right = negation();
    left = make(Expr::Kind::kAnd, left, right);
  }
  return left;
}

Expr* Parser::negation() {
  Level level(*this);
  if (take_name("not")) return make(Expr::Kind::kNot, negation());
  return comparison();
}

bool Parser::comparing_operator(Operator& op) {
  constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual}};
  for (auto [text, kind] : kOperators) {
    if (!take_operator(text)) continue;
    op = kind;
    return true;
  }
  bool negated = is_name("not") && next_token().is(Kind::kName, "in");
  if (negated) take();
  if (!take_name("in")) return false;
  op = negated ? Operator::kNotIn : Operator::kIn;
  return true;
}

Expr* Parser::comparison() {
  Expr* left = sum();
  Operator op = Operator::kEqual;
  if (!comparing_operator(op)) return left;
  Expr* chain = make(Expr::Kind::kCompare, left);
  do chain->comparisons.emplace_back(op, sum());
  while (comparing_operator(op));
  return chain;
}

Expr* Parser::sum() {
  Expr* left = concatenation();
  while (is_operator("+") || is_operator("-")) {
    Operator op = take().text == "+" ? Operator::kAdd : Operator::kSubtract;
    Expr* right = concatenation();
    left = make(Expr::Kind::kCompute, left, right);
    left->op = op;
  }
  return left;
}

Expr* Parser::concatenation() {
  Expr* first = product();
  if (!is_operator("~")) return first;
  Expr* all = make(Expr::Kind::kConcat);
  all->items.push_back(first);
  while (take_operator("~")) all->items.push_back(product());
  return all;
}

Expr* Parser::product() {
  constexpr std::pair<std::string_view, Operator> kOperators[] = {{"*", Operator::kMultiply},
                                                                  {"/", Operator::kDivide},
                                                                  {"//", Operator::kFloorDivide},
                                                                  {"%", Operator::kModulo}};
  Expr* left = power();
  for (bool found = true; found;) {
    found = false;
    for (auto [text, op] : kOperators) {
      if (!take_operator(text)) continue;
      Expr* right = power();
      left = make(Expr::Kind::kCompute, left, right);
      left->op = op;
      found = true;
    }
  }
  return left;
}

Expr* Parser::power() {
  Expr* left = unary(true);
  while (take_operator("**")) {
    Expr* right = unary(true);
    left = make(Expr::Kind::kCompute, left, right);
    left->op = Operator::kPower;
  }
  return left;
}

Expr* Parser::unary(bool with_filter) {
  Level level(*this);
  Expr* value = nullptr;
  if (take_operator("-"))
    value = make(Expr::Kind::kNegative, unary(false));
  else if (take_operator("+"))
    value = make(Expr::Kind::kPositive, unary(false));
  else
    value = primary();
  value = postfix(value);
  return with_filter ? filters(value) : value;
}

Expr* Parser::name_or_constant() {
  std::string_view name = take().text;
  if (name == "true" || name == "True") return constant(Value::boolean(true));
  if (name == "false" || name == "False") return constant(Value::boolean(false));
  if (name == "none" || name == "None") return constant(Value::none());
  Expr* variable = make(Expr::Kind::kName);
  variable->name = name;
  for (Macro* macro : macros_) {
    macro->uses_caller |= name == "caller";
    macro->uses_varargs |= name == "varargs";
    macro->uses_kwargs |= name == "kwargs";
  }
  return variable;
}

Expr* Parser::number() {
  bool is_float = token().is(Kind::kFloat);
  std::string digits;
  for (char c : take().text)
    if (c != '_') digits += c;
  const char *begin = digits.data(), *end = begin + digits.size();
  if (is_float) return constant(Value::real(std::strtod(begin, nullptr)));
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0') {
    char letter = static_cast<char>(digits[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    if (base != 10) begin += 2;
  }
  int64_t value = 0;
  auto [stop, error] = std::from_chars(begin, end, value, base);
  if (error == std::errc::result_out_of_range && base == 10)
    return constant(Value::big_integer(program_.arena.copy(digits)));
  if (error != std::errc() || stop != end) fail_here(fmt::format("bad number '{}'", digits));
  return constant(Value::integer(value));
}

Expr* Parser::primary() {
  if (token().is(Kind::kName)) return name_or_constant();
  if (token().is(Kind::kInteger) || token().is(Kind::kFloat)) return number();
  if (token().is(Kind::kString)) {
    std::string_view text = take().text;
    if (!token().is(Kind::kString)) return constant(Value::string(text));
    std::string joined(text);
    while (token().is(Kind::kString)) joined += take().text;
    return constant(Value::string(program_.arena.copy(joined)));
  }
  if (take_operator("(")) {
    if (take_operator(")")) return make(Expr::Kind::kTuple);
    Expr* inner = tuple(true);
    expect_operator(")");
    return inner;
  }
  if (take_operator("[")) return list();
  if (take_operator("{")) return dict();
  unexpected("an expression");
}

Expr* Parser::list() {
  Expr* items = make(Expr::Kind::kList);
  while (!is_operator("]")) {
    if (!items->items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    items->items.push_back(expression());
  }
  take();
  return items;
}

Expr* Parser::dict() {
  Expr* entries = make(Expr::Kind::kDict);
  while (!is_operator("}")) {
    if (!entries->items.empty()) expect_operator(",");
    if (is_operator("}")) break;
    entries->items.push_back(expression());
    expect_operator(":");
    entries->items.push_back(expression());
  }
  take();
  return entries;
}

Expr* Parser::postfix(Expr* value) {
  for (;;)
    if (is_operator(".") || is_operator("["))
      value = subscript(value);
    else if (is_operator("("))
      value = call(value);
    else
      return value;
}

Expr* Parser::filters(Expr* value) {
  for (;;) {
    if (take_operator("|")) {
      value = filter(value);
    } else if (is_name("is")) {
      take();
      value = test(value);
    } else if (is_operator("(")) {
      value = call(value);
    } else {
      return value;
    }
  }
}

std::string_view Parser::dotted_name() {
  Token first = expect(Kind::kName, "a name");
  std::string_view name = first.text;
  if (!is_operator(".")) return name;
  std::string joined(name);
  while (take_operator(".")) joined.append(".").append(expect(Kind::kName, "a name").text);
  return program_.arena.copy(joined);
}

Expr* Parser::filter(Expr* value) {
  Expr* applied = make(Expr::Kind::kFilter, value);
  applied->name = dotted_name();
  applied->builtin = program_.builtins.filter(applied->name);
  if (applied->builtin == nullptr && !soft_)
    fail_here(fmt::format("No filter named '{}'.", printable(applied->name, 40)));
  if (is_operator("(")) call_arguments(*applied);
  return applied;
}

Expr* Parser::filter_chain() {
  Expr* value = nullptr;
  while (take_operator("|")) value = filter(value);
  return value;
}

Expr* Parser::test(Expr* value) {
  bool negated = take_name("not");
  Expr* tested = make(Expr::Kind::kTest, value);
  tested->name = dotted_name();
  tested->builtin = program_.builtins.test(tested->name);
  if (tested->builtin == nullptr && !soft_)
    fail_here(fmt::format("No test named '{}'.", printable(tested->name, 40)));
  bool has_value =
      token().is(Kind::kString) || token().is(Kind::kInteger) || token().is(Kind::kFloat) ||
      is_operator("[") || is_operator("{") ||
      (token().is(Kind::kName) && !is_name("else") && !is_name("or") && !is_name("and"));
  if (is_operator("(")) {
    call_arguments(*tested);
  } else if (has_value) {
    if (is_name("is")) fail_here("You cannot chain multiple tests with is");
    tested->arguments.push_back({.value = postfix(primary())});
  }
  return negated ? make(Expr::Kind::kNot, tested) : tested;
}

Expr* Parser::subscript(Expr* value) {
  if (take_operator(".")) {
    if (token().is(Kind::kInteger)) return make(Expr::Kind::kItem, value, number());
    Expr* attribute = make(Expr::Kind::kAttribute, value);
    attribute->name = expect(Kind::kName, "a name or a number").text;
    attribute->methods = program_.builtins.methods(attribute->name);
    return attribute;
  }
  take();
  std::vector<Expr*> indices;
  while (!is_operator("]")) {
    if (!indices.empty()) expect_operator(",");
    indices.push_back(subscript_index());
  }
  if (indices.empty()) unexpected("a subscript");
  take();
  if (indices.size() == 1 && indices[0]->kind == Expr::Kind::kSlice) {
    indices[0]->a = value;
    return indices[0];
  }
  Expr* index = indices[0];
  if (indices.size() > 1) {
    index = make(Expr::Kind::kTuple);
    index->items = indices;
    for (Expr* item : indices)
      if (item->kind == Expr::Kind::kSlice) fail_here("a slice among other subscripts");
  }
  return make(Expr::Kind::kItem, value, index);
}

Expr* Parser::subscript_index() {
  auto at_part_end = [&] { return is_operator(":") || is_operator("]") || is_operator(","); };
  Expr* start = at_part_end() ? nullptr : expression();
  if (!is_operator(":")) return start ? start : (unexpected("a subscript"), nullptr);
  take();
  Expr* slice = make(Expr::Kind::kSlice);
  slice->b = start;
  if (!at_part_end()) slice->c = expression();
  if (take_operator(":") && !at_part_end()) slice->step = expression();
  return slice;
}

Expr* Parser::call(Expr* callee) {
  Expr* called = make(Expr::Kind::kCall, callee);
  call_arguments(*called);
  return called;
}

void Parser::call_arguments(Expr& call) {
  expect_operator("(");
  for (bool named = false; !is_operator(")");) {
    if (!call.arguments.empty()) expect_operator(",");
    if (is_operator(")")) break;
    Argument argument;
    if (is_operator("**") || is_operator("*")) {
      argument.stars = take().text == "*" ? 1 : 2;
    } else if (token().is(Kind::kName) && next_token().is(Kind::kOperator, "=")) {
      argument.name = take().text;
      take();
      named = true;
    } else if (named) {
      fail_here("positional argument follows a keyword argument");
    }
    argument.value = expression();
    call.arguments.push_back(argument);
  }
  take();
}

}  // namespace ll::jinja
