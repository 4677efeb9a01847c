#pragma once
// The batch job of rank 0: requests in from a JSONL file, answers out as they finish.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "base/line_reader.h"
#include "runtime/answers/desk.h"
#include "runtime/batch/batch_output.h"
#include "runtime/batch/request_feed.h"
#include "runtime/batch/stop_policy.h"
#include "runtime/batch/token_rate.h"
#include "runtime/config/engine_config.h"
#include "runtime/process/progress.h"
#include "runtime/replicas/replica_pool.h"

namespace ll {

class BatchJob {
 public:
  // All outlive the job. The input is config.job.input's.
  BatchJob(const EngineConfig& config, const CompletionContext& context, ReplicaPool& pool,
           BatchOutput& output, const StopPolicy& policy);

  // Answers what of the output's lines is not answered; a bad line becomes an error record.
  // kDone; kResumable when the policy had it stop before the end: what was expected to end in time
  // is answered, the rest, if any, is not.
  ExitCode run(LineReader& input);

  // Requests to have ready behind those that run.
  static int64_t read_ahead(const EngineConfig& config);

 private:
  void answer(RequestFeed& feed);
  void finish(const LineReader& input);
  bool has_ended(const Stop& stop);
  ExitCode give_up(const Stop& stop);
  void give_back(const Stop& stop);
  void step();
  void read(RequestFeed& feed);
  void submit(RequestFeed::Item item);
  void take(StepEvents events);
  void write(const Answer& answer);
  void fail(int64_t line, std::string_view custom_id, std::string_view message);
  const BatchCounts& count();
  JobWork work() const;
  void print_shares() const;

  const EngineConfig& config_;
  const CompletionContext& context_;
  ReplicaPool& pool_;
  BatchOutput& output_;
  const StopPolicy& policy_;
  Desk desk_;                                            // by line
  std::unordered_map<int64_t, std::string> custom_ids_;  // by line, of the open requests
  int64_t created_;
  BatchCounts counts_;
  Progress progress_;
  TokenRate rate_;
  std::optional<Stop> stop_;
  bool has_read_all_ = false;  // when it came
  int64_t num_given_back_ = 0, num_tokens_lost_ = 0;
  Cost given_back_;
};

}  // namespace ll
