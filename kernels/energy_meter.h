#pragma once
#include <memory>
#include <string>

namespace ll {

// The counter of what a GPU has used, asked through NVIDIA's management library (NVML), which comes
// with the driver; it is loaded when it is needed.
class EnergyMeter {
 public:
  // That of the GPU with this name, "GPU-" and hexadecimal digits. Null where there is no library,
  // no such GPU, or a GPU without the counter: they came with Volta.
  static std::unique_ptr<EnergyMeter> open(const std::string& uuid,
                                           const char* library = "libnvidia-ml.so.1");
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  // Since some time ago. Where the library no longer answers, what it said last.
  double joules() const;

 private:
  EnergyMeter() = default;

  void* library_ = nullptr;
  void* device_ = nullptr;
  int (*energy_)(void* device, unsigned long long* millijoules) = nullptr;
  int (*shut_down_)() = nullptr;
  mutable double joules_ = 0;
};

}  // namespace ll
