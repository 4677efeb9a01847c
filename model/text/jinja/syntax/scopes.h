#pragma once
// Which variable a name means. Jinja decides it for a whole scope at once, before anything runs: a
// name that a scope sets anywhere is that scope's own from its beginning, where it holds what the
// name means outside.
#include "model/text/jinja/syntax/syntax.h"

namespace ll::jinja {

// Fills slots and loads of the program's tree.
void resolve_names(Program& program);

}  // namespace ll::jinja
