#pragma once
#include "model/text/jinja/evaluator/builtin.h"

namespace ll::jinja {

// self.format(*positional, **named): {}, {0}, {name}, {name[key]}, {x!r}, {x:>8.2f}.
Value brace_format(Evaluator& evaluator, const Value& self, const Arguments& arguments);

}  // namespace ll::jinja
