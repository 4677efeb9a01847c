#pragma once
#include "kernels/backend.h"

namespace ll {

// What a device does at best: the floors that speeds are printed beside.
struct DeviceRates {
  double bytes_per_s = 0;  // reading device memory
  double flops_per_s = 0;  // bfloat16 matrix products
};

// Measured with the backend's own ops (about a second), and not below what is known of the device
// by name.
DeviceRates measure_rates(const Backend& backend, Stream stream);

}  // namespace ll
