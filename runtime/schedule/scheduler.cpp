#include "runtime/schedule/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "runtime/schedule/admission.h"

namespace ll {
namespace {

constexpr double kCalmShare = 0.6;  // of a remaining length, while the cache is not busy

bool comes_before(const std::shared_ptr<Sequence>& a, const std::shared_ptr<Sequence>& b) {
  return a->request == b->request ? a->index < b->index : is_before(*a->request, *b->request);
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      ledger_(options.num_pages, options.page_span, options.radix),
      prefix_order_(options.prefix_groups, options.max_num_seqs) {
  ensure(options.max_num_batched_tokens >= options.max_num_seqs,
         "fewer tokens than sequences a step");
  if (options.drafts.are_on() && options.drafts.is_adaptive)
    draft_policy_ = std::make_unique<DraftPolicy>(options.drafts);
  for (int32_t slot = 0; slot < options.max_num_seqs; ++slot) free_slots_.push_back(slot);
}

void Scheduler::check_fits(const Request& request) const {
  const SamplingParams& params = request.params;
  int64_t capacity = options_.num_pages * options_.page_span;
  auto prompt = static_cast<int64_t>(request.prompt.size());
  int64_t positions = prompt + params.max_tokens - 1;  // the last token is not fed back
  check(prompt > 0, "the prompt has no tokens");
  check(positions <= capacity,
        "prompt of {} tokens and max_tokens {} need {} KV positions, but there are {}; lower "
        "max_tokens or raise kv_cache.memory_bytes",
        prompt, params.max_tokens, positions, capacity);
  check(options_.chunked_prefill || positions <= options_.max_num_batched_tokens,
        "prompt of {} tokens and max_tokens {} exceed scheduler.max_num_batched_tokens = {}, which "
        "chunked_prefill: false makes the limit",
        prompt, params.max_tokens, options_.max_num_batched_tokens);
}

void Scheduler::add(std::shared_ptr<const Request> request) {
  check_fits(*request);
  wait(std::make_shared<Sequence>(std::move(request), 0));
}

PlannedStep Scheduler::plan() {
  PlannedStep step;
  step.plan.id = static_cast<int32_t>(++step_);
  ledger_.begin_step(step_);
  plan_decodes(step);
  if (options_.prefix_groups.are_on() && step.plan.num_drafts == 0) group_decodes(step);
  if (continue_prefills(step)) start_waiting(step);
  // They name samples by number, which grouping has changed.
  for (size_t i = 0; i < step.samples.size(); ++i)
    step.samples[i]->list_bans(static_cast<int32_t>(i), step.plan.bans);
  ledger_.end_step(step.plan);
  step.plan.gathered = options_.gathers(step.plan.num_tokens());
  return step;
}

// First come first; when pages run out the last gives way.
void Scheduler::plan_decodes(PlannedStep& step) {
  step.plan.num_drafts = choose_drafts();
  auto rows_each = static_cast<int32_t>(step.plan.rows_each());
  for (size_t i = 0; i < running_.size(); ++i) {
    SequencePtr s = running_[i];
    if (!s->can_decode()) continue;
    int32_t computed = std::min(s->num_computed + rows_each, s->end());
    while (!ledger_.extend(s->kv, s->slot, computed)) {
      SequencePtr victim = running_.back();
      preempt(step, victim);
      if (victim == s) return;
    }
    for (int32_t i = 0; i < rows_each; ++i) {
      auto row = static_cast<int32_t>(step.plan.decode.size());
      int32_t position = std::min(s->num_computed + i, s->end() - 1);
      step.plan.decode.push_back({s->slot, position});
      add_sample(step, s, row, position + 1);
    }
    s->num_computed = computed;
    ++s->num_steps_in_flight;
  }
}

// Rows that read a prefix together come to stand side by side.
void Scheduler::group_decodes(PlannedStep& step) {
  std::vector<int32_t> slots;
  for (const SequencePtr& s : step.samples) {
    if (!prefix_order_.has(s->slot)) prefix_order_.add(s->slot, s->kv.pages);
    slots.push_back(s->slot);
  }
  const PrefixOrder::Arrangement& wanted = prefix_order_.arrange(slots);
  if (wanted.groups.empty()) return;
  StepPlan& plan = step.plan;
  auto decode = std::exchange(plan.decode, {});
  auto samples = std::exchange(plan.samples, {});
  auto owners = std::exchange(step.samples, {});
  for (int32_t row : wanted.rows) {
    auto from = static_cast<size_t>(row);
    samples[from].row = static_cast<int32_t>(plan.decode.size());
    plan.decode.push_back(decode[from]);
    plan.samples.push_back(samples[from]);
    step.samples.push_back(std::move(owners[from]));
  }
  plan.prefix_groups = wanted.groups;
}

// False when one found no room; nobody overtakes it then.
bool Scheduler::continue_prefills(PlannedStep& step) {
  for (size_t i = 0; i < running_.size(); ++i) {
    SequencePtr s = running_[i];
    if (s->state == Sequence::State::kPrefilling && !plan_chunk(step, s)) return false;
  }
  return true;
}

void Scheduler::start_waiting(PlannedStep& step) {
  while (!waiting_.empty() && !step.has_preempted) {
    SequencePtr s = waiting_.front();
    bool has_budget = step.plan.num_tokens() < options_.max_num_batched_tokens;
    if (!has_budget || num_unclaimed_slots() < num_slots_wanted(*s) || s->num_in_flight > 0) return;
    if (!admit(step, s)) return;
    waiting_.pop_front();
    running_.insert(std::upper_bound(running_.begin(), running_.end(), s, comes_before), s);
    if (!plan_chunk(step, s)) return;
  }
}

// Free slots that no running prompt needs for its other answers.
int32_t Scheduler::num_unclaimed_slots() const {
  auto unclaimed = static_cast<int32_t>(free_slots_.size());
  for (const SequencePtr& s : running_) unclaimed -= num_slots_wanted(*s) - 1;
  return unclaimed;
}

bool Scheduler::is_planned(const PlannedStep& step, const Sequence& s) {
  auto in_slot = [&](const auto& row) { return row.slot == s.slot; };
  return std::any_of(step.plan.decode.begin(), step.plan.decode.end(), in_slot) ||
         std::any_of(step.plan.chunks.begin(), step.plan.chunks.end(), in_slot);
}

// The next part of a prompt; false when the step has no room for more.
bool Scheduler::plan_chunk(PlannedStep& step, const SequencePtr& s) {
  int32_t budget = options_.max_num_batched_tokens - step.plan.num_tokens();
  int32_t count = std::min(budget, s->num_unprefilled());
  if (count <= 0 || (!options_.chunked_prefill && count < s->num_unprefilled())) return false;
  while (!ledger_.extend(s->kv, s->slot, s->num_computed + count)) {
    // What the pages at hand allow; else the last gives way, unless it is this one.
    int32_t room = static_cast<int32_t>(ledger_.num_positions(s->kv)) - s->num_computed;
    if (room > 0 && !s->kv.awaits_copy() && options_.chunked_prefill) {
      count = std::min(count, room);
      break;
    }
    SequencePtr victim = running_.back();
    if (victim == s || is_planned(step, *victim)) return false;
    preempt(step, victim);
  }
  int32_t row = step.plan.num_tokens(), end = s->num_computed + count;
  StepPlan::PromptChunk chunk{.slot = s->slot, .first_position = s->num_computed};
  chunk.tokens.assign(s->tokens.begin() + s->num_computed, s->tokens.begin() + end);
  if (s->wants_prompt_logprobs()) {
    chunk.num_prompt_logprobs = s->params().prompt_logprobs;
    step.scored.push_back({s->request->id, chunk.first_position + 1, {}});
  }
  bool is_last = end == static_cast<int32_t>(s->tokens.size());
  if (!is_last) chunk.next_token = s->tokens[static_cast<size_t>(end)];
  step.plan.chunks.push_back(std::move(chunk));
  step.chunk_owners.push_back(s->request->id);
  s->num_computed = end;
  ledger_.show(s->kv, s->computed_tokens());
  if (is_last) finish_prefill(step, s, row + count - 1);
  return true;
}

void Scheduler::finish_prefill(PlannedStep& step, const SequencePtr& s, int32_t row) {
  bool forks = !s->has_forked && s->params().n > 1;
  s->state = Sequence::State::kDecoding;
  add_sample(step, s, row, s->length());
  ++s->num_steps_in_flight;
  if (forks) fork(step, s, row);
  s->has_forked = true;
}

// The request's other answers start from the leader's prompt: they share its pages and draw from
// the same row. Those beyond the slots wait, ahead of later requests, and find the prompt in the
// cache.
void Scheduler::fork(PlannedStep& step, const SequencePtr& leader, int32_t row) {
  for (int32_t index = 1; index < leader->params().n; ++index) {
    auto s = std::make_shared<Sequence>(leader->request, index);
    s->has_forked = true;
    s->num_cached = leader->num_prompt;
    if (index >= num_slots_wanted(*leader)) {
      wait(s);
      continue;
    }
    s->state = Sequence::State::kDecoding;
    s->num_computed = leader->num_prompt;
    s->kv = ledger_.fork(leader->kv, leader->num_prompt);
    start_in_slot(step, *s);
    running_.insert(std::upper_bound(running_.begin(), running_.end(), s, comes_before), s);
    add_sample(step, s, row, s->length());
    ++s->num_steps_in_flight;
  }
}

void Scheduler::add_sample(PlannedStep& step, const SequencePtr& s, int32_t row, int32_t position) {
  step.plan.samples.push_back({row, s->slot, position});
  step.samples.push_back(s);
  ++s->num_in_flight;
}

// Gives the sequence what the cache knows of it, a slot, and a place among the running; false, with
// nothing changed, when it should wait.
bool Scheduler::admit(PlannedStep& step, const SequencePtr& s) {
  // The last token always runs: its logits are wanted.
  std::span<const int32_t> wanted = std::span(s->tokens).first(s->tokens.size() - 1);
  int32_t num_known =
      s->wants_prompt_logprobs() ? 0 : ledger_.take_known(s->kv, wanted, can_spare_page(*s));
  if (!running_.empty() && !fits(*s)) {
    ledger_.drop(s->kv);
    return false;
  }
  s->num_computed = num_known;
  if (s->num_cached < 0) {
    s->num_cached = s->num_computed;
    totals_.prompt_tokens += s->num_prompt;
    totals_.cached_tokens += s->num_cached;
    step.started.push_back({s->request->id, s->num_cached});
  }
  s->state = Sequence::State::kPrefilling;
  start_in_slot(step, *s);
  return true;
}

// Whether there is a page beside all that the sequence comes to need: while a copy is pending its
// source is held as well.
bool Scheduler::can_spare_page(const Sequence& s) const {
  int64_t positions = s.num_prompt + s.params().max_tokens - 1;
  return positions <= (options_.num_pages - 1) * options_.page_span;
}

// Whether the candidate and all that run stay within the pages at their expected peak.
bool Scheduler::fits(const Sequence& candidate) const {
  int64_t in_use = ledger_.num_in_use();
  double share = stats().kv_usage < options_.busy_scale ? kCalmShare : 1.0;
  std::vector<Growth> growths;
  int64_t own_pages = 0, all_positions = 0;  // if all ended at once
  auto expect = [&](const Sequence& s, int32_t copies) {
    int64_t own = s.length() - s.kv.num_shared * options_.page_span;
    auto remaining = static_cast<int64_t>(share * std::max(s.remaining(), 0));
    for (int32_t i = 0; i < copies; ++i) growths.push_back({i == 0 ? own : 0, remaining});
    all_positions += own + copies * (remaining + options_.page_span - 1);
  };
  for (const SequencePtr& s : running_) {
    expect(*s, num_slots_wanted(*s));
    own_pages += s->kv.num_own();
  }
  expect(candidate, num_slots_wanted(candidate));
  int64_t room = options_.num_pages - std::max<int64_t>(0, in_use - own_pages);  // besides shared
  return all_positions / options_.page_span <= room ||
         peak_pages(std::move(growths), options_.page_span) <= room;
}

void Scheduler::start_in_slot(PlannedStep& step, Sequence& s) {
  s.slot = free_slots_.front();
  free_slots_.pop_front();
  StepPlan::NewSlot start{.slot = s.slot, .sampling = s.slot_sampling()};
  if (options_.drafts.are_on()) start.end = s.end();
  if (start.sampling.has_penalties() || options_.drafts.are_on()) {
    start.allowed = s.params().allowed_token_ids;
    start.prompt = s.request->prompt;
    start.output.assign(s.tokens.begin() + s.num_prompt, s.tokens.end());
  }
  if (draft_policy_) draft_policy_->learn(s.tokens);
  step.plan.new_slots.push_back(std::move(start));
  ledger_.enter(s.kv, s.slot);
}

// Takes a sequence out of the running; it starts over from what the cache keeps, ahead of those of
// its priority that never ran.
void Scheduler::preempt(PlannedStep& step, const SequencePtr& victim) {
  step.has_preempted = true;
  release(*victim);
  std::erase(running_, victim);
  victim->state = Sequence::State::kWaiting;
  victim->num_computed = 0;
  ++totals_.num_preemptions;
  wait(victim);
}

void Scheduler::wait(const SequencePtr& s) {
  waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), s, comes_before), s);
}

// For this one, and those that will fork from it as soon as its prompt is done.
int32_t Scheduler::num_slots_wanted(const Sequence& s) const {
  return s.has_forked ? 1 : std::min(s.params().n, options_.max_num_seqs);
}

// Slot and pages go; what is known of the sequence stays in the cache.
void Scheduler::release(Sequence& s) {
  prefix_order_.remove(s.slot);
  ledger_.release(s.kv, s.computed_tokens());
  // With speculation the slot that was free longest is taken next: its tokens are looked up till
  // then.
  options_.drafts.are_on() ? free_slots_.push_back(s.slot) : free_slots_.push_front(s.slot);
  s.slot = -1;
}

SchedulerStats Scheduler::stats() const {
  SchedulerStats s = totals_;
  s.num_waiting = static_cast<int64_t>(waiting_.size());
  s.num_running = static_cast<int64_t>(running_.size());
  s.kv_usage = static_cast<double>(ledger_.num_in_use()) / static_cast<double>(options_.num_pages);
  return s;
}

void Scheduler::check_integrity() const {
  std::vector<const KvHold*> holds;
  std::vector<int32_t> slots(free_slots_.begin(), free_slots_.end());
  for (const SequencePtr& s : running_) {
    ensure(s->is_running(), "scheduler: a running sequence is not");
    ensure(ledger_.num_positions(s->kv) >= s->num_computed || s->kv.awaits_copy(),
           "scheduler: positions without a page");
    holds.push_back(&s->kv);
    slots.push_back(s->slot);
  }
  ledger_.check_integrity(holds);
  auto is_ordered = [](const auto& all) { return std::ranges::is_sorted(all, comes_before); };
  ensure(is_ordered(waiting_) && is_ordered(running_), "scheduler: order");
  for (const SequencePtr& s : waiting_)
    ensure(s->state == Sequence::State::kWaiting && s->kv.pages.empty() && s->slot < 0,
           "scheduler: a waiting sequence holds something");
  std::sort(slots.begin(), slots.end());
  for (size_t i = 0; i < slots.size(); ++i)
    ensure(slots[i] == static_cast<int32_t>(i), "scheduler: slots");
  ensure(slots.size() == static_cast<size_t>(options_.max_num_seqs), "scheduler: slots missing");
}

}  // namespace ll
