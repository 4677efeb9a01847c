#include "runtime/batch/batch_job.h"

#include <cstdlib>
#include <ctime>

namespace ll {
namespace {

// SOURCE_DATE_EPOCH, where set, makes two runs' files equal.
int64_t creation_time() {
  const char* fixed = std::getenv("SOURCE_DATE_EPOCH");
  return fixed ? std::strtoll(fixed, nullptr, 10) : static_cast<int64_t>(std::time(nullptr));
}

constexpr auto kIdlePatience = std::chrono::milliseconds(500);

}  // namespace

BatchJob::BatchJob(const EngineConfig& config, const CompletionContext& context, Write write)
    : config_(config), context_(context), write_(std::move(write)), created_(creation_time()) {}

int64_t BatchJob::read_ahead(const EngineConfig& config) {
  return std::min<int64_t>(config.scheduler.max_waiting,
                           4 * int64_t{config.scheduler.max_num_seqs});
}

EngineEvents BatchJob::events() {
  return {.on_token = [this](Sequence& s, const TokenLogprob* l) { return on_token(s, l); },
          .on_prompt_logprobs =
              [this](Sequence& s, int32_t first, std::vector<TokenLogprob> l) {
                on_prompt_logprobs(s, first, std::move(l));
              },
          .on_finish = [this](const std::shared_ptr<Sequence>& s) { on_finish(s); }};
}

void BatchJob::run(Engine& engine, LineReader& input, OutputFile& output) {
  counts_.total = LineReader::count_lines(config_.job.input);
  int64_t ahead = read_ahead(config_);
  RequestFeed feed(input, context_, static_cast<size_t>(ahead));
  Progress progress;
  while (engine.has_work() || !feed.is_done()) {
    for (int64_t i = 0; i < ahead && engine.num_waiting() < ahead; ++i) {
      auto item = feed.pop(engine.has_work() ? std::chrono::milliseconds(0) : kIdlePatience);
      if (!item) break;
      submit(engine, std::move(*item));
    }
    engine.step();
    progress.update(count(engine));
  }
  output.close();
  counts_.total = counts_.done;
  progress.finish(counts_);
}

void BatchJob::submit(Engine& engine, RequestFeed::Item item) {
  if (!item.request) return fail(item.line, item.custom_id, item.error);
  auto job = std::make_shared<Job>();
  job->line = item.line;
  job->request = std::move(*item.request);
  job->num_open = job->request.num_choices();
  const CompletionRequest& r = job->request;
  try {
    for (size_t i = 0; i < r.prompts.size(); ++i) {
      auto request = std::make_shared<Request>();
      request->id = next_id_++;
      request->prompt = r.prompts[i];
      request->params = r.params;
      request->eos_token_ids = context_.eos_token_ids;
      engine.add(request);
      job->ids.push_back(request->id);
      prompts_[request->id] = {job, static_cast<int32_t>(i)};
    }
  } catch (const Error& e) {
    for (int64_t id : job->ids) {
      prompts_.erase(id);
      engine.abort(id);
    }
    fail(item.line, item.custom_id, e.what());
  }
}

void BatchJob::fail(int64_t line, const std::string& custom_id, const std::string& message) {
  write_(line, error_record(line, custom_id, message));
  ++counts_.done;
  ++counts_.errors;
}

BatchJob::Answer& BatchJob::answer_of(const Sequence& s) {
  return answers_.try_emplace(&s, context_.tokenizer, s.params()).first->second;
}

bool BatchJob::on_token(Sequence& s, const TokenLogprob* logprob) {
  ++counts_.output_tokens;
  Answer& answer = answer_of(s);
  if (logprob) answer.logprobs.push_back(*logprob);
  // The token that ends the answer is not part of its text.
  bool ends = s.finish_after_last_token() == FinishReason::kStop;
  return (!ends || s.params().include_stop_str_in_output) && answer.text.push(s.tokens.back());
}

void BatchJob::on_prompt_logprobs(Sequence& s, int32_t first, std::vector<TokenLogprob> logprobs) {
  auto& all = prompt_logprobs_[s.request->id];
  all.resize(static_cast<size_t>(first - 1));  // a preempted prompt starts over
  all.insert(all.end(), logprobs.begin(), logprobs.end());
}

void BatchJob::on_finish(const std::shared_ptr<Sequence>& s) {
  auto found = prompts_.find(s->request->id);
  if (found == prompts_.end()) return;  // withdrawn
  auto [job, prompt_index] = found->second;
  Answer& answer = answer_of(*s);
  answer.text.finish();
  Choice choice{.index = prompt_index * s->params().n + s->index,
                .token_ids = {s->tokens.begin() + s->num_prompt, s->tokens.end()},
                .text = answer.text.text(),
                .finish_reason = answer.text.is_stopped() ? FinishReason::kStop : s->finish_reason,
                .logprobs = std::move(answer.logprobs)};
  if (s->params().prompt_logprobs >= 0) choice.prompt_logprobs = prompt_logprobs_[s->request->id];
  job->usage.completion_tokens += s->num_output();
  if (s->index == 0) {
    job->usage.prompt_tokens += s->num_prompt;
    job->usage.cached_tokens += std::max(0, s->num_cached);
  }
  job->choices.push_back(std::move(choice));
  answers_.erase(s.get());
  if (--job->num_open == 0) finish(*job);
}

void BatchJob::finish(Job& job) {
  std::sort(job.choices.begin(), job.choices.end(),
            [](const Choice& a, const Choice& b) { return a.index < b.index; });
  write_(job.line,
         completion_record(job.request, job.choices, job.usage, created_, context_.tokenizer));
  ++counts_.done;
  for (int64_t id : std::vector(job.ids)) {  // the last hold on the job goes with its last prompt
    prompts_.erase(id);
    prompt_logprobs_.erase(id);
  }
}

const BatchCounts& BatchJob::count(const Engine& engine) {
  SchedulerStats stats = engine.stats();
  counts_.prompt_tokens = stats.prompt_tokens;
  counts_.cached_tokens = stats.cached_tokens;
  counts_.preemptions = stats.num_preemptions;
  counts_.running = stats.num_running;
  counts_.waiting = stats.num_waiting;
  return counts_;
}

}  // namespace ll
