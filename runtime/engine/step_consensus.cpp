#include "runtime/engine/step_consensus.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash/hash.h"

namespace ll {

StepConsensus::StepConsensus(const MpiGroup& replica, const std::string& name) : gather_(replica) {
  for (int member = 0; member < replica.size(); ++member)
    names_.push_back(replica.broadcast_text(name, member));
  times_.ranks.resize(names_.size());
}

void StepConsensus::launched(int32_t step, int32_t plan_checksum) {
  open_.push_back({.step = step, .plan = plan_checksum});
}

void StepConsensus::drew(std::span<const int32_t> tokens, StepTime time) {
  ensure(!open_.empty(), "step consensus: tokens of no step");
  Fnv32 hash;
  for (int32_t token : tokens) hash.add(static_cast<uint32_t>(token));
  Entry entry = open_.front();
  entry.tokens = static_cast<int32_t>(hash.value);
  entry.time = time;
  open_.pop_front();
  noted_.push_back(entry);
  if (noted_.size() == kEntries) exchange();
  if (gather_.is_under_way() && gather_.is_done()) look();
}

void StepConsensus::flush() {
  ensure(open_.empty(), "step consensus: a step is open");
  if (!noted_.empty()) exchange();
  if (gather_.is_under_way()) look();
}

void StepConsensus::exchange() {
  if (gather_.is_under_way()) look();
  noted_.resize(kEntries);
  gather_.begin(std::as_bytes(std::span(noted_)));
  noted_.clear();
}

void StepConsensus::look() {
  std::span<const std::byte> bytes = gather_.wait();
  std::vector<Entry> all(names_.size() * kEntries);
  std::memcpy(static_cast<void*>(all.data()), bytes.data(), bytes.size());
  std::vector<Entry> of_step(names_.size());
  std::vector<StepTime> times(names_.size());
  for (size_t i = 0; i < kEntries; ++i) {
    for (size_t member = 0; member < names_.size(); ++member)
      of_step[member] = all[member * kEntries + i];
    auto odd = std::find_if(of_step.begin(), of_step.end(),
                            [&](const Entry& e) { return !e.is_like(of_step[0]); });
    if (odd != of_step.end()) fail_at(of_step, static_cast<size_t>(odd - of_step.begin()));
    std::transform(of_step.begin(), of_step.end(), times.begin(),
                   [](const Entry& e) { return e.time; });
    times_.add(times);
  }
}

// `index`: the first that differs from member 0; where most differ from that one, it is the odd
// one.
void StepConsensus::fail_at(std::span<const Entry> entries, size_t index) const {
  auto num_like = [&](const Entry& e) {
    return std::count_if(entries.begin(), entries.end(),
                         [&](const Entry& other) { return other.is_like(e); });
  };
  size_t other = 0;
  if (num_like(entries[index]) > num_like(entries[0])) std::swap(index, other);
  const Entry &odd = entries[index], &usual = entries[other];
  const char* what = odd.step != usual.step   ? "runs another step"
                     : odd.plan != usual.plan ? "has another plan"
                                              : "has drawn other tokens";
  fail("the ranks disagree on step {}: {} {} than {}; its memory or device may be faulty",
       usual.step, names_[index], what, names_[other]);
}

}  // namespace ll
