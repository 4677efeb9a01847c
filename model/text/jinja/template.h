#pragma once
// The Jinja that chat templates are written in, as the sandboxed environment of Hugging Face's
// transformers (5.24, jinja2 3.1.6) runs it: trim_blocks, lstrip_blocks, {% break %}, {% continue
// %},
// {% generation %}, raise_exception, strftime_now, tojson without escapes. A template sees its
// variables and nothing else, and takes no more than so many steps, so much memory and output.
#include <memory>
#include <string>
#include <string_view>

#include "base/json_tree.h"
#include "model/text/jinja/evaluator/render_limits.h"

namespace ll::jinja {

struct Program;

// Thread-safe.
class Template {
 public:
  // Throws Error with the line where the source, in UTF-8, is not Jinja. `name` stands for the
  // template in errors.
  Template(std::string_view source, std::string_view name);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // `variables` is an object. Throws Error where the template fails, be it by raise_exception.
  std::string render(const JsonTree& variables, const RenderLimits& limits = {}) const;

  // Whether the template speaks of a variable that it does not set itself.
  bool reads(std::string_view name) const;
  std::string_view source() const;

 private:
  std::unique_ptr<const Program> program_;
};

}  // namespace ll::jinja
