#include "runtime/engine/plan_channel.h"

#include <algorithm>

#include "base/check.h"
#include "runtime/process/injected_fault.h"

namespace ll {

void PlanChannel::send(const StepPlan& plan) {
  if (group_.size() == 1) return;
  std::vector<int32_t> flat = plan.encode();
  checksum_ = flat.back();
  buffer_.assign(1, static_cast<int32_t>(flat.size()));
  buffer_.insert(buffer_.end(), flat.begin(), flat.end());
  buffer_.resize(std::max(buffer_.size(), kFirstWords));
  group_.broadcast(buffer_.data(), kFirstWords * sizeof(int32_t), 0);
  if (buffer_.size() > kFirstWords)
    group_.broadcast(buffer_.data() + kFirstWords, (buffer_.size() - kFirstWords) * sizeof(int32_t),
                     0);
}

StepPlan PlanChannel::receive() {
  buffer_.resize(kFirstWords);
  group_.broadcast(buffer_.data(), kFirstWords * sizeof(int32_t), 0);
  check(buffer_[0] > 0, "step plan: {} words announced; ranks diverged", buffer_[0]);
  auto words = static_cast<size_t>(buffer_[0]);
  if (words + 1 > kFirstWords) {
    buffer_.resize(words + 1);
    group_.broadcast(buffer_.data() + kFirstWords, (words + 1 - kFirstWords) * sizeof(int32_t), 0);
  }
  if (is_fault_due("plan", buffer_[1])) ++buffer_[words / 2];
  checksum_ = buffer_[words];
  return StepPlan::decode_from(std::span(buffer_).subspan(1, words));
}

}  // namespace ll
