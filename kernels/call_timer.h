#pragma once
#include <functional>

#include "kernels/backend.h"

namespace ll {

// Seconds that work(i), i = 0 to calls - 1, takes in a row of calls, as in a step: replayed as a
// graph where the device has them. The least of a few runs; `before_run` comes before each of them.
double seconds_a_call(const Backend& backend, Stream stream, int calls,
                      const std::function<void(int)>& work,
                      const std::function<void()>& before_run = {});

}  // namespace ll
