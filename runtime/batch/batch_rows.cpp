#include "runtime/batch/batch_rows.h"

namespace ll {

ConfigSection batch_rows() {
  using B = BatchOptions;
  return {.rows = rows_of<B>(
              "job", [](EngineConfig& c) -> B& { return c.job; },
              {{"input", text(&B::input),
                "of batch, required: JSONL in OpenAI's batch format; - is standard input"},
               {"output", text(&B::output),
                "of batch, required: answers, as they finish; - is standard output"},
               {"overwrite", flag(&B::overwrite), "replace an existing output"},
               {"max_line_bytes", whole(&B::max_line_bytes, 1024, int64_t{1} << 32),
                "longer input lines are answered with an error"}})};
}

}  // namespace ll
