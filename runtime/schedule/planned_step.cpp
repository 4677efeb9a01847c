#include "runtime/schedule/planned_step.h"

namespace ll {

std::vector<CostShare> PlannedStep::shares() const {
  std::vector<CostShare> shares;
  shares.reserve(plan.decode.size() + plan.chunks.size());
  for (size_t i = 0; i < plan.decode.size(); ++i) shares.push_back({samples[i]->request->id, 1});
  for (size_t i = 0; i < plan.chunks.size(); ++i)
    shares.push_back({chunk_owners[i], static_cast<int64_t>(plan.chunks[i].tokens.size())});
  return shares;
}

}  // namespace ll
