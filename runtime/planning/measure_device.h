#pragma once
#include "model/config/model_config.h"
#include "runtime/planning/machine_rates.h"

namespace ll {

// `preset` with what the backend's ops take on this device, in the middle of a step: products by
// size and rows, attention with the model's heads, and an op of next to no work. About a second on
// a GPU. Ranks that share a device's memory measure at the same time.
DeviceTimes measure_device(const Backend& backend, Stream stream, const ModelConfig& model,
                           DType dtype, DeviceTimes preset);

// What the device reads and multiplies at best, and not below what is known of it by name: what
// floors of speeds are worked out from. The other times are left out. About a second.
DeviceTimes measure_best(const Backend& backend, Stream stream);

}  // namespace ll
