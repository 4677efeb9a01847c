#pragma once
// Whether decode steps of one sequence are done in one kernel or by ops, where the backend has the
// kernel for the model on so many ranks.
#include "runtime/engine/measure_products.h"

namespace ll {

// Whether measure_decode_one() has a choice: the GPU, or how ranks are connected, decides which is
// the faster, and the ops' products then have to be measured, too.
bool may_forget_decode_one(const MeasuredModel& model);

// Has the decoder forget the kernel where the ops, by now done in the best way that was found, are
// faster, or where on several ranks its logits are not theirs. Of all layers, so that what is found
// counts for the model that runs. `max_length`: positions of a sequence. Collective over the
// replica, whose ranks wait for each other inside the kernel without a limit of time.
void measure_decode_one(const MeasuredModel& model, int64_t max_length);

}  // namespace ll
