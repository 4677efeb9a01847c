#pragma once
// What a manifest says of a run, asked of the program and the ranks.
#include <string>
#include <vector>

#include "base/version_row.h"
#include "runtime/batch/manifest.h"
#include "runtime/config/engine_config.h"
#include "runtime/rank/local_model.h"

namespace ll {

// The program, as it was built and with what it runs.
struct Program {
  std::string version, commit;
  std::vector<VersionRow> libraries;
};

// Those of all ranks. Collective over the world.
std::vector<HostRanks> hosts_of(const LocalModel& local);

// The configuration with what was chosen of it, and paths that hold from everywhere.
EngineConfig as_run(const EngineConfig& config, const LocalModel& local);

// What such a configuration and the program say.
Manifest manifest_of(const EngineConfig& run, const Program& program);
// That which begins, but for who it is and what is answered.
JobLife life_of(const LocalModel& local, std::vector<HostRanks> hosts);

}  // namespace ll
