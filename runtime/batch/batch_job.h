#pragma once
// The batch job of rank 0: requests in from a JSONL file, answers out as they finish. On a grid of
// several replicas each has one, and replicated_batch.h brings it requests.
#include <functional>
#include <unordered_map>

#include "base/output_file.h"
#include "runtime/api/completion_record.h"
#include "runtime/api/text_output.h"
#include "runtime/batch/request_feed.h"
#include "runtime/config/engine_config.h"
#include "runtime/engine/engine.h"
#include "runtime/process/progress.h"

namespace ll {

class BatchJob {
 public:
  // `write` gets each record of the output as a line, with the number of the input's.
  using Write = std::function<void(int64_t line, std::string_view record)>;
  BatchJob(const EngineConfig& config, const CompletionContext& context, Write write);

  // What the engine is to tell this job; wire it before run().
  EngineEvents events();
  // Runs the file to its end; bad lines become error records.
  void run(Engine& engine, LineReader& input, OutputFile& output);

  // Starts a request, or writes the record of a bad line.
  void submit(Engine& engine, RequestFeed::Item item);
  // As of the engine's last step.
  const BatchCounts& count(const Engine& engine);
  // Requests to read ahead of those that run.
  static int64_t read_ahead(const EngineConfig& config);

 private:
  // A request of the file, while its answers are on the way. Each of its prompts is one engine
  // request.
  struct Job {
    int64_t line = 0;
    CompletionRequest request;
    std::vector<int64_t> ids;  // of the engine's requests
    std::vector<Choice> choices;
    int64_t num_open = 0;
    Usage usage;
  };
  struct Prompt {
    std::shared_ptr<Job> job;
    int32_t index = 0;
  };
  // An answer while its tokens arrive.
  struct Answer {
    Answer(const Tokenizer* tokenizer, const SamplingParams& params) : text(tokenizer, params) {}
    TextOutput text;
    std::vector<TokenLogprob> logprobs;
  };

  void fail(int64_t line, const std::string& custom_id, const std::string& message);
  bool on_token(Sequence& sequence, const TokenLogprob* logprob);
  void on_prompt_logprobs(Sequence& sequence, int32_t first, std::vector<TokenLogprob> logprobs);
  void on_finish(const std::shared_ptr<Sequence>& sequence);
  void finish(Job& job);
  Answer& answer_of(const Sequence& sequence);

  const EngineConfig& config_;
  const CompletionContext& context_;
  Write write_;
  int64_t created_;
  int64_t next_id_ = 1;
  std::unordered_map<int64_t, Prompt> prompts_;  // by engine request id
  std::unordered_map<const Sequence*, Answer> answers_;
  std::unordered_map<int64_t, std::vector<TokenLogprob>> prompt_logprobs_;  // by engine request id
  BatchCounts counts_;
};

}  // namespace ll
