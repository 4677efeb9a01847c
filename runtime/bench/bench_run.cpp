#include "runtime/bench/bench_run.h"

#include <algorithm>

namespace ll {

EngineEvents BenchRun::events() {
  return {.on_token =
              [this](Sequence& s, const TokenLogprob*) {
                auto index = static_cast<size_t>(s.num_output() - 1);
                seen_.arrivals.resize(std::max(seen_.arrivals.size(), index + 1));
                seen_.arrivals[index] = setup_.now();
                return false;
              },
          .on_prompt_logprobs = [](Sequence&, int32_t, const std::vector<TokenLogprob>&) {},
          .on_finish =
              [this](const std::shared_ptr<Sequence>& s) {
                seen_.prompt_tokens += s->num_prompt;
                seen_.output_tokens += s->num_output();
                seen_.finished.push_back(s->request->id);
              }};
}

void BenchRun::begin(int64_t shared) {
  shared_ = shared;
  seen_ = {.start = setup_.now()};
}

void BenchRun::submit(Engine& engine, const BenchRequest& r, int64_t id) {
  auto length = static_cast<int64_t>(r.prompt.size()) + r.output_len;
  check(length <= setup_.max_length,
        "a prompt of {} tokens and {} of output exceed the {} positions of a sequence",
        r.prompt.size(), r.output_len, setup_.max_length);
  auto request = std::make_shared<Request>();
  request->id = id;
  request->prompt = r.prompt;
  request->params.max_tokens = r.output_len;
  request->params.temperature = temperature_;
  request->params.ignore_eos = true;
  request->params.seed = static_cast<uint64_t>(id);
  engine.add(request);
}

void BenchRun::step(Engine& engine) {
  StepWork before = engine.totals();
  engine.step();
  Floor floor = step_floor(setup_.model, setup_.rates, engine.totals() - before, shared_);
  seen_.floor_seconds += floor.seconds();
}

const BenchRun::Seen& BenchRun::run_all(Engine& engine, const std::vector<BenchRequest>& requests,
                                        int64_t shared) {
  begin(shared);
  for (const BenchRequest& r : requests) submit(engine, r, next_id_++);
  while (engine.has_work()) step(engine);
  seen_.seconds = std::chrono::duration<double>(setup_.now() - seen_.start).count();
  return seen_;
}

}  // namespace ll
