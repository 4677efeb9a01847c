#include "kernels/energy_meter.h"

#include <dlfcn.h>

#include <utility>

namespace ll {
namespace {

// Sets a pointer to a function of the library; false: it has none of that name.
template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::unique_ptr<EnergyMeter> EnergyMeter::open(const std::string& uuid, const char* library) {
  if (uuid.empty()) return nullptr;
  std::unique_ptr<EnergyMeter> meter(new EnergyMeter);
  meter->library_ = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!meter->library_) return nullptr;
  int (*init)() = nullptr, (*shut_down)() = nullptr;
  int (*device_by_uuid)(const char* uuid, void** device) = nullptr;
  bool has_all = find(meter->library_, "nvmlInit_v2", init) &&
                 find(meter->library_, "nvmlShutdown", shut_down) &&
                 find(meter->library_, "nvmlDeviceGetHandleByUUID", device_by_uuid) &&
                 find(meter->library_, "nvmlDeviceGetTotalEnergyConsumption", meter->energy_);
  if (!has_all || init() != 0) return nullptr;
  meter->shut_down_ = shut_down;
  unsigned long long millijoules = 0;
  bool counts = device_by_uuid(uuid.c_str(), &meter->device_) == 0 &&
                meter->energy_(meter->device_, &millijoules) == 0;
  return counts ? std::move(meter) : nullptr;
}

EnergyMeter::~EnergyMeter() {
  if (shut_down_) shut_down_();
  if (library_) ::dlclose(library_);
}

double EnergyMeter::joules() const {
  unsigned long long millijoules = 0;
  if (energy_(device_, &millijoules) == 0) joules_ = static_cast<double>(millijoules) * 1e-3;
  return joules_;
}

}  // namespace ll
