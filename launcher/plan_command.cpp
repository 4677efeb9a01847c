#include "launcher/plan_command.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/check.h"
#include "launcher/options.h"
#include "model/files/weight_store.h"
#include "runtime/config/engine_config.h"
#include "runtime/planning/grid_planner.h"

namespace ll {
namespace {

constexpr int kMaxRanks = 64;

struct PlanArguments {
  std::string model, device = "h200", dtype = "bfloat16";
  double memory_gb = 0, memory_share = 0.9;
  GridQuestion question;
};

std::optional<PlanArguments> parse(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Lists the grids a model can run on, what each rank holds, and what steps are expected to "
      "cost. Needs no GPU.",
      "litelang plan");
  PlanArguments a;
  GridQuestion& q = a.question;
  app.add_option("-m,--model,--model_path", a.model, "weight file (.h5) or folder with config.json")
      ->required();
  app.add_option("-n,--gpus,--ranks", q.num_ranks, "devices to run on")
      ->check(CLI::Range(1, kMaxRanks));
  app.add_option("--device", a.device,
                 fmt::format("{}; all but h200, h100 and cpu are computed from data sheets",
                             fmt::join(known_machines(), ", ")));
  app.add_option("--memory_gb", a.memory_gb, "of a device, where it has other than usual");
  app.add_option("--mem_usage", a.memory_share, "share of it to use")->check(CLI::Range(0.01, 1.0));
  app.add_option("--dtype", a.dtype, "bfloat16 or float32");
  app.add_option("--sequences", q.sequences, "answered at the same time")
      ->check(CLI::Range(1, 65536));
  app.add_option("--prompt_tokens", q.prompt_tokens, "of a request")->check(CLI::Range(1, 1 << 20));
  app.add_option("--output_tokens", q.output_tokens, "of an answer")->check(CLI::Range(1, 1 << 20));
  if (!parse_options(app, arguments)) return std::nullopt;
  return a;
}

MachineRates machine_named(const PlanArguments& a) {
  auto machine = known_machine(a.device);
  if (!machine) {
    std::string names;
    for (const std::string& name : known_machines()) names += (names.empty() ? "" : ", ") + name;
    fail_usage("--device {}: not known; known are {}", a.device, names);
  }
  if (a.memory_gb > 0) machine->memory_bytes = static_cast<size_t>(a.memory_gb * 1e9);
  return *machine;
}

// As much of a device as ranks take unless told otherwise.
DeviceMemory memory_of(const PlanArguments& a, const MachineRates& machine, RunnerOptions& limits) {
  DeviceMemory memory{
      .available = static_cast<size_t>(static_cast<double>(machine.memory_bytes) * a.memory_share)};
  if (machine.name == "cpu") {
    memory.packed_bytes = open_backend(BackendKind::kCpu, 0, 1).ops.packed_bytes;
  } else {
    memory.has_graphs = true;
    EngineConfig defaults;
    limits.graph_max_rows = defaults.cuda_graph_max_bs;
  }
  return memory;
}

}  // namespace

int plan_command(const std::vector<std::string>& arguments) {
  auto a = parse(arguments);
  if (!a) return static_cast<int>(ExitCode::kDone);
  if (a->dtype != "bfloat16" && a->dtype != "float32")
    fail_usage("--dtype {}: must be bfloat16 or float32", a->dtype);
  GridQuestion& q = a->question;
  q.dtype = a->dtype == "float32" ? DType::f32 : DType::bf16;
  MachineRates machine = machine_named(*a);
  ModelConfig config = load_config_only(a->model);
  q.limits.max_length = config.max_position;
  q.memory = memory_of(*a, machine, q.limits);
  fmt::print(
      "{}", describe_plan(config, std::filesystem::path(a->model).filename().string(), machine, q));
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
