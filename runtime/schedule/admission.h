#pragma once
// How much KV memory the running sequences may come to need [Gong et al. 2025, LightLLM's
// past-future scheduler]: sequences end when their remaining length is used up, so the peak is
// reached at one of those ends.
#include <cstdint>
#include <vector>

namespace ll {

struct Growth {
  int64_t tokens = 0;     // positions in pages of its own
  int64_t remaining = 0;  // still expected
};

// Pages the sequences hold at the worst moment.
int64_t peak_pages(std::vector<Growth> sequences, int64_t page_span);

}  // namespace ll
