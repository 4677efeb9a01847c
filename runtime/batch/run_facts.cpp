#include "runtime/batch/run_facts.h"

#include <filesystem>
#include <utility>

namespace ll {
namespace {

std::string absolute(const std::string& path) {
  return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace

std::vector<HostRanks> hosts_of(const LocalModel& local) {
  const MpiGroup& world = local.world();
  std::vector<HostRanks> hosts;
  for (int rank = 0; rank < world.size(); ++rank) {
    HostRanks one{world.broadcast_text(MpiEnvironment::host_name(), rank),
                  world.broadcast_text(local.backend().device_name, rank)};
    bool is_another =
        hosts.empty() || hosts.back().host != one.host || hosts.back().device != one.device;
    if (is_another) hosts.push_back(std::move(one));
    ++hosts.back().ranks;
  }
  return hosts;
}

EngineConfig as_run(const EngineConfig& config, const LocalModel& local) {
  EngineConfig run = config;
  run.grid = local.grid().shape();
  run.model.dtype = local.dtype();
  for (std::string* path : {&run.model.path, &run.job.input, &run.job.output, &run.job.error_file})
    *path = absolute(*path);
  return run;
}

Manifest manifest_of(const EngineConfig& run, const Program& program) {
  Manifest manifest{.program = program.version,
                    .commit = program.commit,
                    .output = run.job.output,
                    .error_file = run.job.error_file};
  for (const VersionRow& row : program.libraries)
    manifest.libraries.emplace_back(row.name, row.found.empty() ? row.built : row.found);
  return manifest;
}

JobLife life_of(const LocalModel& local, std::vector<HostRanks> hosts) {
  return {.grid = local.grid().shape().str(),
          .hosts = std::move(hosts),
          .kv_tokens = local.budget().num_pages * local.budget().page_span};
}

}  // namespace ll
