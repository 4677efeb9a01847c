#pragma once
#include "model/text/jinja/evaluator/builtin.h"

namespace ll::jinja {

// json.dumps(self, ensure_ascii=False, indent=None, separators=None, sort_keys=False).
Value tojson(Evaluator& evaluator, const Value& self, const Bound& bound);

}  // namespace ll::jinja
