#include "runtime/job_config.h"

#include "base/check.h"
#include "runtime/batch/batch_rows.h"
#include "runtime/bench/bench_rows.h"
#include "runtime/config/engine_rows.h"
#include "runtime/server/server_rows.h"

namespace ll {
namespace {

ConfigSection type_rows() {
  using B = BatchOptions;
  return {.rows = rows_of<B>(
              "job", [](EngineConfig& c) -> B& { return c.job; },
              {{"type", choice(&B::type, {{"batch", JobType::kBatch, "answer a file of requests"},
                                          {"serve", JobType::kServe, "answer requests over HTTP"},
                                          {"bench", JobType::kBench, "the section bench"}})}})};
}

}  // namespace

const ConfigTable& job_keys() {
  static const ConfigTable table = {engine_rows(), type_rows(), batch_rows(), server_rows(),
                                    bench_rows()};
  return table;
}

const ConfigRow& job_key(std::string_view key) {
  for (const ConfigSection& section : job_keys())
    for (const ConfigRow& row : section.rows)
      if (row.key == key) return row;
  fail("internal error: no row for the key {}", key);
}

EngineConfig read_job_config(std::string_view text, std::string_view where,
                             const std::vector<std::string>& overrides) {
  return read_config(job_keys(), text, where, overrides);
}

std::vector<std::pair<std::string, std::string>> batch_settings(const EngineConfig& config) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const ConfigSection& section : {engine_rows(), batch_rows()})
    for (const ConfigRow& row : section.rows)
      // The keys of a grid make one of none.
      if (std::string value = row.print(config);
          !value.empty() && !(row.key.starts_with("grid") && value == row.default_text))
        settings.emplace_back(row.key, std::move(value));
  return settings;
}

std::string job_reference() { return reference_of(job_keys()); }

}  // namespace ll
