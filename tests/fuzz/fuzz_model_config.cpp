// Input: a config.json, and the same text as a generation_config.json.
#include "base/check.h"
#include "model/config/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    ll::ModelConfig c = ll::parse_model_config(text, "fuzz");
    bool sane = c.num_parameters() > 0 && c.num_heads % c.num_kv_heads == 0 &&
                c.head_dim % 2 == 0 && c.max_position > 0 && c.rope.theta > 1 && c.rope.factor >= 1;
    if (!sane) __builtin_trap();
  } catch (const ll::Error&) {
  }
  try {
    ll::parse_generation_config(text, "fuzz");
  } catch (const ll::Error&) {
  }
  return 0;
}
