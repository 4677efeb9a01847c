#include "runtime/schedule/draft_policy.h"

#include <algorithm>

#include "base/hash/hash.h"

namespace ll {
namespace {

// A step's first runs are not as fast as those that follow: code is loaded, graphs are captured.
constexpr int32_t kSlowSteps = 3;
constexpr double kNewestTime = 0.1;    // its share of the mean
constexpr double kMemory = 2000;       // tokens after which what was counted has half its weight
constexpr double kLeastGain = 1.03;    // that drafts are expected to bring
constexpr double kGuessPerRow = 0.02;  // of a step's time, while nobody has measured it
constexpr int32_t kFullSteps[] = {1, 3, 7, 15, 31};  // with a sequence's token, rows of a bucket

}  // namespace

DraftPolicy::DraftPolicy(const DraftOptions& options) : options_(options), index_(kEntries) {
  // Before anything is counted: few tokens come again, and most of those behind one that did.
  for (size_t run = 0; run < counts_.size(); ++run) {
    double likely = run == 0 ? 0.03 : 0.9 - 0.5 / static_cast<double>(run);
    counts_[run] = {20 * likely, 20};
  }
}

DraftPolicy::Entry& DraftPolicy::entry_behind(std::span<const int32_t> tokens, uint32_t& tag) {
  Fnv32 hash;
  for (int32_t token : tokens.last(static_cast<size_t>(options_.min_match)))
    hash.add(static_cast<uint32_t>(token));
  tag = hash.value;
  return index_[(tag ^ tag >> 15) % kEntries];
}

void DraftPolicy::learn(std::span<const int32_t> tokens) {
  for (size_t i = static_cast<size_t>(options_.min_match); i < tokens.size(); ++i) {
    uint32_t tag;
    Entry& entry = entry_behind(tokens.first(i), tag);
    entry = {tag, tokens[i]};
  }
}

void DraftPolicy::saw(std::span<const int32_t> tokens, int32_t& run) {
  if (tokens.size() <= static_cast<size_t>(options_.min_match)) return;
  uint32_t tag;
  Entry& entry = entry_behind(tokens.first(tokens.size() - 1), tag);
  bool is_hit = entry.tag == tag && entry.next == tokens.back();
  entry = {tag, tokens.back()};
  Count& count = counts_[static_cast<size_t>(std::min(run, kRuns))];
  count.hits += is_hit;
  if (++count.trials > kMemory) count = {count.hits / 2, count.trials / 2};
  run = is_hit ? run + 1 : 0;
}

void DraftPolicy::took(int32_t rows, double seconds) {
  RowsTime& time = times_[rows];
  if (time.num_seen++ < kSlowSteps) return;
  bool is_first = time.num_seen == kSlowSteps + 1;
  time.seconds += (seconds - time.seconds) * (is_first ? 1 : kNewestTime);
}

double DraftPolicy::likelihood(int32_t run) const {
  const Count& count = counts_[static_cast<size_t>(std::min(run, kRuns))];
  return count.hits / count.trials;
}

// Its own, and those of drafts that stand.
double DraftPolicy::tokens_from(int32_t run, int32_t drafts) const {
  double tokens = 1, stands = 1;
  for (int32_t i = 0; i < drafts; ++i) tokens += stands *= likelihood(run + i);
  return tokens;
}

// What is under way either goes on with the run or ends it.
double DraftPolicy::expected(const Candidate& s, int32_t drafts) const {
  double goes_on = 1;
  for (int32_t i = 0; i <= s.drafts_in_flight; ++i) goes_on *= likelihood(s.run + i);
  return goes_on * tokens_from(s.run + s.drafts_in_flight + 1, drafts) +
         (1 - goes_on) * tokens_from(0, drafts);
}

// Between the numbers of rows that were measured; 0: none was.
double DraftPolicy::seconds_of(int32_t rows) const {
  auto is_known = [](const auto& entry) { return entry.second.seconds > 0; };
  auto above = std::find_if(times_.lower_bound(rows), times_.end(), is_known);
  if (above != times_.end() && above->first == rows) return above->second.seconds;
  auto below =
      std::find_if(std::make_reverse_iterator(times_.lower_bound(rows)), times_.rend(), is_known);
  if (below == times_.rend()) return above == times_.end() ? 0 : above->second.seconds;
  double low = below->second.seconds, more = rows - below->first;
  if (above == times_.end()) return low * (1 + kGuessPerRow * more);
  return low + (above->second.seconds - low) * more / (above->first - below->first);
}

int32_t DraftPolicy::choose(std::span<const Candidate> sequences, int32_t most) const {
  auto count = static_cast<int32_t>(sequences.size());
  double seconds = seconds_of(count);
  if (seconds == 0) return 0;  // until it is known what a step takes without
  double best = kLeastGain * count / seconds;
  int32_t chosen = 0;
  auto consider = [&](int32_t drafts) {
    double tokens = 0;
    for (const Candidate& s : sequences) tokens += expected(s, drafts);
    double rate = tokens / seconds_of(count * (drafts + 1));
    if (rate > best) best = rate, chosen = drafts;
  };
  for (int32_t drafts : kFullSteps)
    if (drafts < most) consider(drafts);
  if (most > 0) consider(most);
  return chosen;
}

}  // namespace ll
