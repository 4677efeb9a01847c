#pragma once
#include "kernels/backend.h"

namespace ll {

// A thread calls this before it uses the device of a backend that another one opened.
void enter_device(BackendKind kind);

}  // namespace ll
