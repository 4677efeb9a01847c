#include "runtime/batch/batch_rows.h"

#include "runtime/config/line_range.h"

namespace ll {
namespace {

Field<BatchOptions> part_field() {
  using B = BatchOptions;
  return {.read = [](B& b, const std::string& text) { b.part = parse_line_part(text); },
          .print = [](const B& b) { return part_text(b.part); }};
}

}  // namespace

ConfigSection batch_rows() {
  using B = BatchOptions;
  return {
      .rows = rows_of<B>(
          "job", [](EngineConfig& c) -> B& { return c.job; },
          {{"input", text(&B::input),
            "of batch, required: JSONL in OpenAI's batch format; - is standard input"},
           {"output", text(&B::output),
            "of batch, required: answers, in OUTPUT.partial until all are there; - is standard "
            "output, as they finish"},
           {"overwrite", flag(&B::overwrite), "replace an existing output"},
           {"resume",
            choice(&B::resume,
                   {{"auto", B::Resume::kAuto, "go on with OUTPUT.partial of the same job"},
                    {"force", B::Resume::kForce, "of another model, dtype or seed, too"},
                    {"restart", B::Resume::kRestart, "begin anew"}})},
           {"retry_errors", flag(&B::retry_errors),
            "ask lines again that were answered with an error, of a complete output, too"},
           {"order",
            choice(&B::order, {{"prefix", B::Order::kPrefix, "requests that begin alike together"},
                               {"arrival", B::Order::kArrival, "as the lines stand"},
                               {"longest", B::Order::kLongest, "largest max_tokens first"}})},
           {"output_order",
            choice(&B::output_order, {{"as_finished", B::OutputOrder::kAsFinished},
                                      {"input", B::OutputOrder::kInput}}),
            "of the answers"},
           {"error_file", text(&B::error_file),
            "of answers that are errors; else they are in the output"},
           {"record_costs", flag(&B::record_costs),
            "add to each answer's usage what it cost: computed tokens, device-seconds, joules"},
           {"part", part_field(),
            "3/8: the third of eight parts of the input's lines, for a job of its own"},
           {"stop_after", whole(&B::stop_after, 0, kMany),
            "seconds after which the job stops, to be gone on with; 0: never"},
           {"grace", whole(&B::grace, 0, kMany),
            "seconds for what has begun, from SIGUSR1, SIGTERM, stop_after, or before Slurm's "
            "time limit"},
           {"max_line_bytes", whole(&B::max_line_bytes, 1024, int64_t{1} << 32),
            "longer input lines are answered with an error"}})};
}

}  // namespace ll
