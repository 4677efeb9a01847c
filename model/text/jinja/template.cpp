#include "model/text/jinja/template.h"

#include <algorithm>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/syntax/lexer.h"
#include "model/text/jinja/syntax/parser.h"
#include "model/text/jinja/syntax/scopes.h"
#include "model/text/jinja/syntax/syntax.h"

namespace ll::jinja {

namespace {

constexpr size_t kMaxSourceBytes = size_t{1} << 20;

std::unique_ptr<const Program> compile(std::string_view source, std::string_view name) {
  check(source.size() <= kMaxSourceBytes, "{}: a template of {} bytes, more than the {} allowed",
        name, source.size(), kMaxSourceBytes);
  size_t invalid = find_invalid_utf8(source);
  check(invalid == source.npos, "{}: byte {} is not valid UTF-8", name, invalid);
  auto program = std::make_unique<Program>(normalize_lines(source), all_builtins());
  program->name = name;
  try {
    Parser(tokenize(program->source, program->arena), *program).run();
    resolve_names(*program);
  } catch (const Error& e) {
    fail("{}, {}", name, e.what());
  }
  return program;
}

}  // namespace

Template::Template(std::string_view source, std::string_view name)
    : program_(compile(source, name)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

bool Template::reads(std::string_view name) const {
  const auto& names = program_->context_names;
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view Template::source() const { return program_->source; }

std::string Template::render(const JsonTree& variables, const RenderLimits& limits) const {
  return Evaluator(*program_, variables, limits).run();
}

}  // namespace ll::jinja
