#pragma once
// What a step costs on a grid: times of products, of attention and of exchanges from the rates of a
// machine. Knows sizes, not models. Good for choosing between grids; a few tenths off in absolute
// terms.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "parallel/grid_shape.h"
#include "parallel/mpi_group.h"

namespace ll {

// Exchanges between ranks of one host: a time that grows with the logarithm of their number, and
// bytes over a rate.
struct LinkRates {
  double start_s = 0, start_log_s = 0, bytes_per_s = 0;
  // A sum in one kernel in which every member reads all others' data: less to wait for, more to
  // move. No rate: there is none.
  double one_shot_s = 0, one_shot_log_s = 0, one_shot_bytes_per_s = 0;

  double all_reduce_s(int members, double bytes) const;
  // Of an all-gather or all-to-all in which a member sends `bytes`.
  double exchange_s(int members, double bytes) const;
};

// `preset` with the latency and rate of this group's own sums. Collective; the same on all members.
LinkRates measure_links(const Backend& backend, const MpiGroup& group, LinkRates preset);

// One device, with what the program's ops reach of its rates.
struct MachineRates {
  std::string name;
  double bytes_per_s = 0, flops_per_s = 0;
  double launch_s = 0;  // from one op to the next
  size_t memory_bytes = 0;
  LinkRates links;
};

// "h200", "NVIDIA H200", ...; nothing for an unknown name.
std::optional<MachineRates> known_machine(const std::string& name);
std::vector<std::string> known_machines();

// A rank's part of a stack of layers.
struct RankSizes {
  int64_t layers = 0, hidden = 0;  // of the whole
  int64_t hidden_part = 0, qkv = 0, slice = 0, ffn = 0, vocab = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t element_bytes = 2;
  bool merged_share_heads = false;
};

struct StepLoad {
  int64_t rows = 0;            // tokens of the step
  int64_t positions_read = 0;  // by its decode rows, of all sequences
  int64_t prompt_pairs = 0;    // query and key pairs of its prompts
  int64_t sampled = 0;         // rows whose logits are wanted

  static StepLoad decode(int64_t sequences, int64_t context) {
    return {sequences, sequences * context, 0, sequences};
  }
  static StepLoad prefill(int64_t prompts, int64_t length) {
    return {prompts * length, 0, prompts * length * length / 2, prompts};
  }
};

// Seconds of a step of one replica; `gathered`: with weights gathered over the grid's z columns.
double step_seconds(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                    const StepLoad& load, bool gathered);

// Rows from which a prefill step is faster gathered; 0: none up to `max_rows`.
int64_t gather_threshold(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                         int64_t max_rows);

}  // namespace ll
