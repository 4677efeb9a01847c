#pragma once
#include "model/text/jinja/values/value.h"

namespace ll::jinja {

// format % arguments: a tuple, a dict for %(name)s, or one value.
Value percent_format(const Value& format, const Value& arguments, Arena& arena);

}  // namespace ll::jinja
