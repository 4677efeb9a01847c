#pragma once
// See LinearTuning in kernels/linear_tuning.h.
#include "kernels/cuda/linear/linear_choice.h"
#include "kernels/linear_tuning.h"

namespace ll::cuda {

const LinearTuning& linear_tuning();

// Called for each product that is done.
void note_product(const LinearKey& key, const LinearArgs& a);

}  // namespace ll::cuda
