#include "model/config/model_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "base/printable.h"
#include "model/config/layer_table.h"

namespace ll {

namespace {

using Json = nlohmann::json;

// Far above every model there is, and low enough that no product of them overflows int64_t.
constexpr int64_t kMaxHidden = 1 << 18, kMaxIntermediate = 1 << 20, kMaxLayers = 1 << 10;
constexpr int64_t kMaxHeads = 1 << 12, kMaxHeadDim = 1 << 10, kMaxVocab = 1 << 24;
constexpr int64_t kMaxPosition = 1 << 30;
constexpr int64_t kMaxToken = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxConfigBytes = 4 << 20;
constexpr int kMaxDepth = 32;

// The keys of one JSON object. A key that is null counts as absent, as it does in transformers.
class Keys {
 public:
  Keys(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    check(object.is_object(), "{}: is not a JSON object", where_);
  }

  template <class... Args>
  [[noreturn]] void refuse(std::string_view key, fmt::format_string<Args...> why,
                           Args&&... args) const {
    const Json* value = find(key);
    fail("{}: {} is {}: {}", where_, key, value ? printable(value->dump(), 80) : "missing",
         fmt::format(why, std::forward<Args>(args)...));
  }

  const Json* find(std::string_view key) const {
    auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const std::string& where() const { return where_; }

  int64_t integer(std::string_view key, int64_t min, int64_t max) const {
    const Json* value = find(key);
    bool fits = value && value->is_number_integer() &&
                !(value->is_number_unsigned() && value->get<uint64_t>() > uint64_t(max)) &&
                value->get<int64_t>() >= min && value->get<int64_t>() <= max;
    if (!fits) refuse(key, "must be an integer from {} to {}", min, max);
    return value->get<int64_t>();
  }
  int64_t integer_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const {
    return has(key) ? integer(key, min, max) : fallback;
  }
  double number_or(std::string_view key, double fallback, double min, double max) const {
    const Json* value = find(key);
    if (!value) return fallback;
    bool fits = value->is_number() && value->get<double>() >= min && value->get<double>() <= max;
    if (!fits) refuse(key, "must be a number from {} to {}", min, max);
    return value->get<double>();
  }
  bool flag_or(std::string_view key, bool fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) refuse(key, "must be true or false");
    return value->get<bool>();
  }
  std::string text_or(std::string_view key, std::string fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_string()) refuse(key, "must be a string");
    return value->get<std::string>();
  }
  // One token id, a list of them, or nothing.
  std::vector<int32_t> tokens(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return {};
    std::vector<int32_t> ids;
    for (const Json& id : value->is_array() ? *value : Json::array({*value})) {
      bool fits = id.is_number_unsigned() && id.get<uint64_t>() <= uint64_t(kMaxToken);
      if (!fits) refuse(key, "must be a token id or a list of them");
      ids.push_back(id.get<int32_t>());
    }
    return ids;
  }

 private:
  const Json& object_;
  std::string where_;
};

Json parse_json(std::string_view text, std::string_view where) {
  check(text.size() <= kMaxConfigBytes, "{}: {} bytes are too many for a config", where,
        text.size());
  auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    check(depth <= kMaxDepth, "{}: nested deeper than {} levels", where, kMaxDepth);
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const Json::exception& e) {
    fail("{}: is not valid JSON: {}", where, printable(e.what()));
  }
}

const ModelFamily& family_of(const Keys& keys) {
  constexpr std::string_view kWhy = "only Qwen2 and Qwen2.5 dense language models are supported";
  const Json* architectures = keys.find("architectures");
  if (!architectures && !keys.has("model_type")) keys.refuse("model_type", "{}", kWhy);
  bool is_known_type = false;
  for (const ModelFamily* family : model_families()) {
    if (keys.text_or("model_type", family->model_type) != family->model_type) continue;
    is_known_type = true;
    if (!architectures ||
        (architectures->is_array() && std::find(architectures->begin(), architectures->end(),
                                                family->architecture) != architectures->end()))
      return *family;
  }
  keys.refuse(is_known_type ? "architectures" : "model_type", "{}", kWhy);
}

void check_variants(const Keys& keys) {
  if (keys.text_or("hidden_act", "silu") != "silu")
    keys.refuse("hidden_act", "only silu is supported");
  if (!keys.flag_or("attention_bias", true))
    keys.refuse("attention_bias", "only models with q, k and v biases are supported");
  if (keys.flag_or("mlp_bias", false))
    keys.refuse("mlp_bias", "only models without it are supported");
  if (keys.flag_or("use_mrope", false))
    keys.refuse("use_mrope", "multimodal rope is not supported");
  if (keys.has("quantization_config"))
    keys.refuse("quantization_config",
                "only weights in bfloat16, float16 or float32 are supported");
}

// Layers from max_window_layers on attend to a window when use_sliding_window is set; layer_types,
// where present, says it layer by layer instead.
void check_attention_window(const Keys& keys, int64_t num_layers) {
  constexpr std::string_view kWhy = "sliding window attention is not supported";
  if (const Json* types = keys.find("layer_types")) {
    if (!types->is_array() || std::any_of(types->begin(), types->end(),
                                          [](const Json& t) { return t != "full_attention"; }))
      keys.refuse("layer_types", "only full_attention layers are supported; {}", kWhy);
    if (static_cast<int64_t>(types->size()) != num_layers)
      keys.refuse("layer_types", "must name each of the {} layers", num_layers);
    return;
  }
  bool uses = keys.flag_or("use_sliding_window", false) && keys.has("sliding_window") &&
              keys.integer_or("max_window_layers", 28, 0, kMaxLayers) < num_layers;
  if (uses) keys.refuse("use_sliding_window", "{}", kWhy);
}

// transformers: 0.1 m ln(factor) + 1
double yarn_mscale(double factor, double m) { return 0.1 * m * std::log(factor) + 1; }

void read_yarn(const Keys& model, const Keys& keys, int64_t max_position, RopeConfig& rope) {
  rope.type = RopeConfig::Type::kYarn;
  const Keys& origin = model.has("original_max_position_embeddings") ? model : keys;
  rope.original_max_position =
      origin.integer_or("original_max_position_embeddings", max_position, 1, kMaxPosition);
  double ratio =
      static_cast<double>(max_position) / static_cast<double>(rope.original_max_position);
  rope.factor = keys.number_or("factor", ratio, 1, 1e6);
  if (rope.factor < 1) keys.refuse("factor", "yarn needs a factor of at least 1");
  if (rope.factor * static_cast<double>(rope.original_max_position) > double(kMaxPosition))
    keys.refuse("factor", "extends {} positions past {}", rope.original_max_position, kMaxPosition);
  double mscale = keys.number_or("mscale", 0, 0, 1e6);
  double mscale_all_dim = keys.number_or("mscale_all_dim", 0, 0, 1e6);
  double fallback = mscale > 0 && mscale_all_dim > 0 ? yarn_mscale(rope.factor, mscale) /
                                                           yarn_mscale(rope.factor, mscale_all_dim)
                                                     : yarn_mscale(rope.factor, 1);
  rope.attention_factor = keys.number_or("attention_factor", fallback, 1e-6, 1e6);
  double beta_fast = keys.number_or("beta_fast", 0, 0, 1e9);
  double beta_slow = keys.number_or("beta_slow", 0, 0, 1e9);
  if (beta_fast > 0) rope.beta_fast = beta_fast;
  if (beta_slow > 0) rope.beta_slow = beta_slow;
  if (rope.beta_fast < rope.beta_slow)
    keys.refuse("beta_fast", "must not be below beta_slow, {}", rope.beta_slow);
  rope.truncate = keys.flag_or("truncate", true);
}

// rope_scaling (transformers 4) goes before rope_parameters (5), whose rope_theta goes before the
// model's.
RopeConfig read_rope(const Keys& model, int64_t max_position) {
  static const Json none = Json::object();
  auto non_empty = [&](std::string_view key) {
    return model.has(key) && !model.find(key)->empty();
  };
  std::string_view name = non_empty("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const Json* found = model.find(name);
  Keys keys(found ? *found : none, fmt::format("{}: {}", model.where(), name));

  RopeConfig rope;
  const Keys& base = keys.has("rope_theta") ? keys : model;
  rope.theta = base.number_or("rope_theta", rope.theta, 1.0 + 1e-6, 1e18);
  for (const Keys* k : {&model, static_cast<const Keys*>(&keys)})
    if (k->number_or("partial_rotary_factor", 1, 0, 1e6) != 1)
      k->refuse("partial_rotary_factor", "only whole heads are rotated");
  for (const char* unknown : {"mrope_section", "full_attention", "sliding_attention"})
    if (keys.has(unknown))
      keys.refuse(unknown, "only one rope for all layers and axes is supported");

  std::string_view type_key = keys.has("rope_type") ? "rope_type" : "type";
  std::string type = keys.text_or(type_key, "default");
  if (type == "yarn") {
    read_yarn(model, keys, max_position, rope);
  } else if (type != "default") {
    keys.refuse(type_key, "only the rope types default and yarn are supported");
  }
  return rope;
}

DType read_dtype(const Keys& keys) {
  std::string_view key = keys.has("dtype") ? "dtype" : "torch_dtype";
  std::string name = keys.text_or(key, "bfloat16");
  for (DType dtype : {DType::bf16, DType::f16, DType::f32})
    if (name == name_of(dtype)) return dtype;
  keys.refuse(key, "only bfloat16, float16 and float32 are supported");
}

void read_heads(const Keys& keys, ModelConfig& c) {
  c.num_heads = keys.integer("num_attention_heads", 1, kMaxHeads);
  c.num_kv_heads = keys.integer_or("num_key_value_heads", c.num_heads, 1, kMaxHeads);
  if (c.num_heads % c.num_kv_heads != 0)
    keys.refuse("num_key_value_heads", "must divide num_attention_heads, {}", c.num_heads);
  if (!keys.has("head_dim") && c.hidden_size % c.num_heads != 0)
    keys.refuse("hidden_size", "must be a multiple of num_attention_heads, {}, without head_dim",
                c.num_heads);
  c.head_dim = keys.integer_or("head_dim", c.hidden_size / c.num_heads, 1, kMaxHeadDim);
  if (c.head_dim % 2 != 0 || c.head_dim > kMaxHeadDim)
    fail("{}: head_dim is {}: must be even and at most {}", keys.where(), c.head_dim, kMaxHeadDim);
}

}  // namespace

ModelConfig parse_model_config(std::string_view config_json, std::string_view where) {
  Json json = parse_json(config_json, where);
  Keys keys(json, std::string(where));
  ModelConfig c;
  c.family = &family_of(keys);
  check_variants(keys);
  c.hidden_size = keys.integer("hidden_size", 1, kMaxHidden);
  c.intermediate_size = keys.integer("intermediate_size", 1, kMaxIntermediate);
  c.num_layers = keys.integer("num_hidden_layers", 1, kMaxLayers);
  c.vocab_size = keys.integer("vocab_size", 1, kMaxVocab);
  read_heads(keys, c);
  check_attention_window(keys, c.num_layers);
  int64_t positions = keys.integer_or("max_position_embeddings", 32768, 1, kMaxPosition);
  c.rope = read_rope(keys, positions);
  c.max_position = positions;
  if (c.rope.type == RopeConfig::Type::kYarn) {
    double extended = c.rope.factor * static_cast<double>(c.rope.original_max_position);
    c.max_position = std::max(positions, static_cast<int64_t>(extended));
  }
  c.rms_norm_eps = static_cast<float>(keys.number_or("rms_norm_eps", 1e-6, 1e-30, 1));
  c.tie_word_embeddings = keys.flag_or("tie_word_embeddings", false);
  c.dtype = read_dtype(keys);
  c.eos_token_ids = keys.tokens("eos_token_id");
  return c;
}

GenerationConfig parse_generation_config(std::string_view json_text, std::string_view where) {
  Json json = parse_json(json_text, where);
  Keys keys(json, std::string(where));
  GenerationConfig g;
  g.eos_token_ids = keys.tokens("eos_token_id");
  g.do_sample = keys.flag_or("do_sample", g.do_sample);
  g.temperature = static_cast<float>(keys.number_or("temperature", g.temperature, 0, 1e6));
  g.top_p = static_cast<float>(keys.number_or("top_p", g.top_p, 1e-30, 1));
  g.top_k =
      static_cast<int32_t>(std::max<int64_t>(keys.integer_or("top_k", g.top_k, -1, kMaxToken), 0));
  g.repetition_penalty =
      static_cast<float>(keys.number_or("repetition_penalty", g.repetition_penalty, 1e-6, 1e6));
  return g;
}

}  // namespace ll
