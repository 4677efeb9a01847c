// Input: a configuration; after a zero byte, overrides between zero bytes. Any bytes give a
// configuration within its limits or an Error of one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "runtime/job_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string_view yaml = input.substr(0, input.find('\0'));
  std::vector<std::string> overrides;
  for (size_t begin = yaml.size() + 1; begin < size;) {
    size_t end = std::min(input.find('\0', begin), size);
    overrides.emplace_back(input.substr(begin, end - begin));
    begin = end + 1;
  }
  try {
    ll::EngineConfig c = ll::read_job_config(yaml, "fuzz", overrides);
    bool sane = !c.model.path.empty() && c.scheduler.max_num_seqs >= 0 &&
                c.scheduler.max_num_batched_tokens >= c.scheduler.max_num_seqs &&
                c.kv_cache.page_size > 0 && (!c.grid || c.grid->num_ranks() > 0);
    if (!sane) std::abort();
  } catch (const ll::Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
