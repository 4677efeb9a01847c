#include "runtime/engine/plan_check.h"

#include <span>
#include <string_view>

#include "base/check.h"
#include "base/numbers.h"
#include "model/decoder/sampler.h"

namespace ll {
namespace {

class Checker {
 public:
  Checker(const StepPlan& plan, const PlanLimits& limits) : plan_(plan), limits_(limits) {}

  void run() {
    limit("rows", plan_.num_tokens(), 0, limits_.max_num_batched_tokens + 1);
    int64_t max_samples = limits_.max_num_seqs + limits_.max_draft_rows;
    limit("decode rows", count(plan_.decode), 0, max_samples + 1);
    limit("chunks", count(plan_.chunks), 0, limits_.max_num_seqs + 1);
    limit("samples", count(plan_.samples), 0, max_samples + 1);
    for (const auto& row : plan_.decode) slot(row.slot), position(row.position);
    for (const auto& chunk : plan_.chunks) check_chunk(chunk);
    for (const auto& sample : plan_.samples) {
      limit("a sample's row", sample.row, 0, plan_.num_tokens());
      slot(sample.slot);
      limit("a sample's position", sample.position, 0, limits_.max_length + 1);
    }
    for (const auto& ban : plan_.bans) {
      limit("a ban's sample", ban.sample, 0, count(plan_.samples));
      token(ban.token);
      limit("a ban's token", ban.after, -1, limits_.vocab);
    }
    for (const auto& start : plan_.new_slots) check_start(start);
    check_pages();
    check_groups();
    if (limits_.max_drafts > 0) check_drafts();
    limit("drafts", plan_.num_drafts, 0, limits_.max_drafts + 1);
  }

 private:
  template <class T>
  static int64_t count(const std::vector<T>& list) {
    return static_cast<int64_t>(list.size());
  }
  void limit(std::string_view what, int64_t value, int64_t low, int64_t end) const {
    check(value >= low && value < end, "step {}: {}: {} is outside {} to {}", plan_.id, what, value,
          low, end - 1);
  }
  void slot(int64_t value) const { limit("a slot", value, 0, limits_.max_num_seqs); }
  void position(int64_t value) const { limit("a position", value, 0, limits_.max_length); }
  void page(int64_t value) const { limit("a page", value, 0, limits_.num_pages); }
  void token(int64_t value) const { limit("a token", value, 0, limits_.vocab); }
  void tokens(std::span<const int32_t> list) const {
    for (int32_t value : list) token(value);
  }
  void logprobs(int64_t value) const { limit("logprobs", value, -1, kMaxLogprobs + 1); }
  int64_t max_pages() const { return ceil_div(limits_.max_length, limits_.page_span); }

  void check_chunk(const StepPlan::PromptChunk& chunk) const {
    slot(chunk.slot);
    limit("a chunk's tokens", count(chunk.tokens), 1, limits_.max_num_batched_tokens + 1);
    position(chunk.first_position);
    position(chunk.first_position + count(chunk.tokens) - 1);
    logprobs(chunk.num_prompt_logprobs);
    tokens(chunk.tokens);
    limit("a token", chunk.next_token, -1, limits_.vocab);
  }
  void check_start(const StepPlan::NewSlot& start) const {
    slot(start.slot);
    logprobs(start.sampling.num_logprobs);
    tokens(start.sampling.banned_before);
    for (const auto& [id, bias] : start.sampling.logit_bias) token(id);
    limit("a sequence's end", start.end, 0, limits_.max_length + 1);
    if (limits_.max_drafts > 0)
      limit("a sequence's tokens", count(start.prompt) + count(start.output), 1,
            limits_.max_length + 2);
    for (const auto* list : {&start.allowed, &start.prompt, &start.output}) tokens(*list);
  }
  void check_pages() const {
    for (const PageDelta& delta : plan_.page_deltas) {
      slot(delta.slot);
      limit("a place in a page table", delta.index, 0, max_pages());
      page(delta.page);
    }
    for (const PageCopy& copy : plan_.page_copies) {
      page(copy.source);
      page(copy.target);
      limit("a copy's rows", copy.num_rows, 0, limits_.page_span + 1);
    }
  }
  // Rows of a sequence stand side by side, and each has its sample.
  void check_drafts() const {
    auto rows = static_cast<int64_t>(plan_.rows_each()), num_decode = count(plan_.decode);
    limit("decode rows behind whole sequences", num_decode % rows, 0, 1);
    limit("samples", count(plan_.samples), num_decode, limits_.max_num_batched_tokens + 1);
    for (size_t i = 0; i < plan_.decode.size(); ++i) {
      int32_t first = plan_.decode[i - i % plan_.rows_each()].slot;
      const StepPlan::Sample& sample = plan_.samples[i];
      limit("a row's slot", plan_.decode[i].slot, first, first + 1);
      limit("a sample's row", sample.row, static_cast<int64_t>(i), static_cast<int64_t>(i) + 1);
      limit("a sample's slot", sample.slot, first, first + 1);
    }
  }
  void check_groups() const {
    for (size_t i = 0; i < plan_.prefix_groups.size(); ++i) {
      const PrefixGroup& g = plan_.prefix_groups[i];
      limit("a group's first row", g.first_row, 0, count(plan_.decode));
      limit("a group's rows", g.num_rows, 1, count(plan_.decode) - g.first_row + 1);
      limit("a group's first page", g.first_page, 0, max_pages());
      limit("a group's pages", g.num_pages, 1, max_pages() - g.first_page + 1);
      limit("a group's parent", g.parent, -1, static_cast<int64_t>(i));
    }
  }

  const StepPlan& plan_;
  const PlanLimits& limits_;
};

}  // namespace

void check_plan(const StepPlan& plan, const PlanLimits& limits) {
  check(plan.kind == StepPlan::Kind::kStep, "step {}: is no plan of a step", plan.id);
  Checker(plan, limits).run();
}

}  // namespace ll
