#pragma once
#include "launcher/child_process.h"

namespace ll {

// The exit code for how mpirun ended: those of ExitCode as they are; any other is kError, after a
// line that says which signal ended a rank and what that may mean, unless the user asked for it.
int explained_exit(const ChildEnd& end);

}  // namespace ll
