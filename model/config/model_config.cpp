#include "model/config/model_config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/json_fields.h"
#include "model/config/layer_table.h"

namespace ll {

namespace {

// Far above every model there is, and low enough that no product of them overflows int64_t.
constexpr int64_t kMaxHidden = 1 << 18, kMaxIntermediate = 1 << 20, kMaxLayers = 1 << 10;
constexpr int64_t kMaxHeads = 1 << 12, kMaxHeadDim = 1 << 10, kMaxVocab = 1 << 24;
constexpr int64_t kMaxPosition = 1 << 30;
constexpr int64_t kMaxToken = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxConfigBytes = 4 << 20;

JsonTree parse_json(std::string_view text, std::string_view where) {
  check(text.size() <= kMaxConfigBytes, "{}: {} bytes are too many for a config", where,
        text.size());
  return JsonTree::parse(text, where);
}

bool is_string(const JsonTree& value, std::string_view text) {
  return value.is(JsonTree::Kind::kString) && value.text == text;
}

std::vector<int32_t> tokens_of(const JsonFields& fields, std::string_view name) {
  std::vector<int64_t> ids = fields.integers(name, 0, kMaxToken);
  return {ids.begin(), ids.end()};
}

bool lists(const JsonTree& list, std::string_view name) {
  return list.is(JsonTree::Kind::kArray) &&
         std::any_of(list.members.begin(), list.members.end(),
                     [&](const JsonTree::Member& m) { return is_string(m.value, name); });
}

const ModelFamily& family_of(const JsonFields& keys) {
  constexpr std::string_view kWhy = "only Qwen2 and Qwen2.5 dense language models are supported";
  const JsonTree* architectures = keys.find("architectures");
  if (!architectures && !keys.has("model_type")) keys.refuse("model_type", "{}", kWhy);
  bool is_known_type = false;
  for (const ModelFamily* family : model_families()) {
    if (keys.text("model_type", family->model_type) != family->model_type) continue;
    is_known_type = true;
    if (!architectures || lists(*architectures, family->architecture)) return *family;
  }
  keys.refuse(is_known_type ? "architectures" : "model_type", "{}", kWhy);
}

void check_variants(const JsonFields& keys) {
  if (keys.text("hidden_act", "silu") != "silu")
    keys.refuse("hidden_act", "only silu is supported");
  if (keys.flag("use_mrope", false)) keys.refuse("use_mrope", "multimodal rope is not supported");
  if (keys.has("quantization_config"))
    keys.refuse("quantization_config",
                "only weights in bfloat16, float16 or float32 are supported");
}

// Keys of other families; transformers' Qwen2 has its biases whatever they say. A tensor that would
// need one is refused where the weights are opened.
std::vector<std::string> unused_keys(const JsonFields& keys) {
  std::vector<std::string> unused;
  if (!keys.flag("attention_bias", true)) unused.emplace_back("attention_bias");
  if (keys.flag("mlp_bias", false)) unused.emplace_back("mlp_bias");
  return unused;
}

// Layers from max_window_layers on attend to a window when use_sliding_window is set; layer_types,
// where present, says it layer by layer instead.
void check_attention_window(const JsonFields& keys, int64_t num_layers) {
  constexpr std::string_view kWhy = "sliding window attention is not supported";
  if (const JsonTree* types = keys.find("layer_types")) {
    auto is_full = [](const JsonTree::Member& t) { return is_string(t.value, "full_attention"); };
    if (!types->is(JsonTree::Kind::kArray) ||
        !std::all_of(types->members.begin(), types->members.end(), is_full))
      keys.refuse("layer_types", "only full_attention layers are supported; {}", kWhy);
    if (static_cast<int64_t>(types->members.size()) != num_layers)
      keys.refuse("layer_types", "must name each of the {} layers", num_layers);
    return;
  }
  bool uses = keys.flag("use_sliding_window", false) && keys.has("sliding_window") &&
              keys.integer("max_window_layers", 0, kMaxLayers, 28) < num_layers;
  if (uses) keys.refuse("use_sliding_window", "{}", kWhy);
}

// transformers: 0.1 m ln(factor) + 1
double yarn_mscale(double factor, double m) { return 0.1 * m * std::log(factor) + 1; }

void read_yarn(const JsonFields& model, const JsonFields& keys, int64_t max_position,
               RopeConfig& rope) {
  rope.type = RopeConfig::Type::kYarn;
  const JsonFields& origin = model.has("original_max_position_embeddings") ? model : keys;
  rope.original_max_position =
      origin.integer("original_max_position_embeddings", 1, kMaxPosition, max_position);
  double ratio =
      static_cast<double>(max_position) / static_cast<double>(rope.original_max_position);
  rope.factor = keys.number("factor", 1, 1e6, ratio);
  if (rope.factor < 1) keys.refuse("factor", "yarn needs a factor of at least 1");
  if (rope.factor * static_cast<double>(rope.original_max_position) > double(kMaxPosition))
    keys.refuse("factor", "extends {} positions past {}", rope.original_max_position, kMaxPosition);
  double mscale = keys.number("mscale", 0, 1e6, 0);
  double mscale_all_dim = keys.number("mscale_all_dim", 0, 1e6, 0);
  double fallback = mscale > 0 && mscale_all_dim > 0 ? yarn_mscale(rope.factor, mscale) /
                                                           yarn_mscale(rope.factor, mscale_all_dim)
                                                     : yarn_mscale(rope.factor, 1);
  rope.attention_factor = keys.number("attention_factor", 1e-6, 1e6, fallback);
  double beta_fast = keys.number("beta_fast", 0, 1e9, 0);
  double beta_slow = keys.number("beta_slow", 0, 1e9, 0);
  if (beta_fast > 0) rope.beta_fast = beta_fast;
  if (beta_slow > 0) rope.beta_slow = beta_slow;
  if (rope.beta_fast < rope.beta_slow)
    keys.refuse("beta_fast", "must not be below beta_slow, {}", rope.beta_slow);
  rope.truncate = keys.flag("truncate", true);
}

// rope_scaling (transformers 4) goes before rope_parameters (5), whose rope_theta goes before the
// model's.
RopeConfig read_rope(const JsonFields& model, int64_t max_position) {
  static const JsonTree none{.kind = JsonTree::Kind::kObject};
  auto non_empty = [&](std::string_view key) {
    const JsonTree* value = model.find(key);
    bool is_list =
        value && (value->is(JsonTree::Kind::kObject) || value->is(JsonTree::Kind::kArray));
    return value && !(is_list && value->members.empty());
  };
  std::string_view name = non_empty("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const JsonTree* found = model.find(name);
  JsonFields keys(found ? *found : none, fmt::format("{}: {}", model.where(), name));

  RopeConfig rope;
  const JsonFields& base = keys.has("rope_theta") ? keys : model;
  rope.theta = base.number("rope_theta", 1.0 + 1e-6, 1e18, rope.theta);
  for (const JsonFields* k : {&model, static_cast<const JsonFields*>(&keys)})
    if (k->number("partial_rotary_factor", 0, 1e6, 1) != 1)
      k->refuse("partial_rotary_factor", "only whole heads are rotated");
  for (const char* unknown : {"mrope_section", "full_attention", "sliding_attention"})
    if (keys.has(unknown))
      keys.refuse(unknown, "only one rope for all layers and axes is supported");

  std::string_view type_key = keys.has("rope_type") ? "rope_type" : "type";
  std::string type = keys.text(type_key, "default");
  if (type == "yarn")
    read_yarn(model, keys, max_position, rope);
  else if (type != "default")
    keys.refuse(type_key, "only the rope types default and yarn are supported");
  return rope;
}

DType read_dtype(const JsonFields& keys) {
  std::string_view key = keys.has("dtype") ? "dtype" : "torch_dtype";
  std::string name = keys.text(key, "bfloat16");
  for (DType dtype : {DType::bf16, DType::f16, DType::f32})
    if (name == name_of(dtype)) return dtype;
  keys.refuse(key, "only bfloat16, float16 and float32 are supported");
}

void read_heads(const JsonFields& keys, ModelConfig& c) {
  c.num_heads = keys.integer("num_attention_heads", 1, kMaxHeads);
  c.num_kv_heads = keys.integer("num_key_value_heads", 1, kMaxHeads, c.num_heads);
  if (c.num_heads % c.num_kv_heads != 0)
    keys.refuse("num_key_value_heads", "must divide num_attention_heads, {}", c.num_heads);
  if (!keys.has("head_dim") && c.hidden_size % c.num_heads != 0)
    keys.refuse("hidden_size", "must be a multiple of num_attention_heads, {}, without head_dim",
                c.num_heads);
  c.head_dim = keys.integer("head_dim", 1, kMaxHeadDim, c.hidden_size / c.num_heads);
  if (c.head_dim % 2 != 0 || c.head_dim > kMaxHeadDim)
    fail("{}: head_dim is {}: must be even and at most {}", keys.where(), c.head_dim, kMaxHeadDim);
}

}  // namespace

ModelConfig parse_model_config(std::string_view config_json, std::string_view where) {
  JsonTree json = parse_json(config_json, where);
  JsonFields keys(json, std::string(where));
  ModelConfig c;
  c.family = &family_of(keys);
  check_variants(keys);
  c.unused_keys = unused_keys(keys);
  c.hidden_size = keys.integer("hidden_size", 1, kMaxHidden);
  c.intermediate_size = keys.integer("intermediate_size", 1, kMaxIntermediate);
  c.num_layers = keys.integer("num_hidden_layers", 1, kMaxLayers);
  c.vocab_size = keys.integer("vocab_size", 1, kMaxVocab);
  read_heads(keys, c);
  check_attention_window(keys, c.num_layers);
  int64_t positions = keys.integer("max_position_embeddings", 1, kMaxPosition, 32768);
  c.rope = read_rope(keys, positions);
  c.max_position = positions;
  if (c.rope.type == RopeConfig::Type::kYarn) {
    double extended = c.rope.factor * static_cast<double>(c.rope.original_max_position);
    c.max_position = std::max(positions, static_cast<int64_t>(extended));
  }
  c.rms_norm_eps = static_cast<float>(keys.number("rms_norm_eps", 1e-30, 1, 1e-6));
  c.tie_word_embeddings = keys.flag("tie_word_embeddings", false);
  c.dtype = read_dtype(keys);
  c.eos_token_ids = tokens_of(keys, "eos_token_id");
  return c;
}

namespace {

// Keys of generation_config.json that are not kept, with the value that changes nothing; so do
// null, false and empty lists.
struct Unsupported {
  const char* name;
  double neutral;
};
constexpr Unsupported kUnsupported[] = {{"num_beams", 1},
                                        {"num_beam_groups", 1},
                                        {"num_return_sequences", 1},
                                        {"penalty_alpha", 0},
                                        {"typical_p", 1},
                                        {"epsilon_cutoff", 0},
                                        {"eta_cutoff", 0},
                                        {"top_h", 0},
                                        {"no_repeat_ngram_size", 0},
                                        {"encoder_repetition_penalty", 1},
                                        {"encoder_no_repeat_ngram_size", 0},
                                        {"bad_words_ids", 0},
                                        {"force_words_ids", 0},
                                        {"suppress_tokens", 0},
                                        {"begin_suppress_tokens", 0},
                                        {"forced_bos_token_id", -1},
                                        {"forced_eos_token_id", -1},
                                        {"sequence_bias", 0},
                                        {"guidance_scale", 1},
                                        {"exponential_decay_length_penalty", 0},
                                        {"stop_strings", 0},
                                        {"min_length", 0},
                                        {"min_new_tokens", 0},
                                        {"max_length", 20},
                                        {"max_time", 0},
                                        {"dola_layers", 0},
                                        {"watermarking_config", 0}};

bool changes_nothing(const JsonTree& value, double neutral) {
  using Kind = JsonTree::Kind;
  if (value.is(Kind::kNumber)) return number_of(value, "") == neutral;
  bool is_list = value.is(Kind::kArray) || value.is(Kind::kObject);
  return is_list ? value.members.empty() : !value.is(Kind::kString);
}

std::vector<std::string> unsupported_keys(const JsonFields& keys) {
  std::vector<std::string> names;
  for (const Unsupported& u : kUnsupported) {
    const JsonTree* value = keys.find(u.name);
    bool is_length = std::string_view(u.name) == "max_length" && keys.has("max_new_tokens");
    if (value && !is_length && !changes_nothing(*value, u.neutral)) names.emplace_back(u.name);
  }
  return names;
}

}  // namespace

GenerationConfig parse_generation_config(std::string_view json_text, std::string_view where) {
  if (json_text.empty()) return {};
  JsonTree json = parse_json(json_text, where);
  JsonFields keys(json, std::string(where));
  GenerationConfig g;
  constexpr int32_t kTopK = 50;  // transformers', of who samples
  bool samples = keys.flag("do_sample", false);
  g.eos_token_ids = tokens_of(keys, "eos_token_id");
  g.temperature = static_cast<float>(keys.number("temperature", 0, 1e6, g.temperature));
  if (!samples) g.temperature = 0;
  g.top_p = static_cast<float>(keys.number("top_p", 0, 1, g.top_p));
  g.min_p = static_cast<float>(keys.number("min_p", 0, 1, g.min_p));
  g.top_k = static_cast<int32_t>(
      std::max<int64_t>(keys.integer("top_k", -1, kMaxToken, samples ? kTopK : 0), 0));
  g.repetition_penalty =
      static_cast<float>(keys.number("repetition_penalty", 1e-6, 1e6, g.repetition_penalty));
  g.max_new_tokens = static_cast<int32_t>(keys.integer("max_new_tokens", 1, kMaxToken, 0));
  g.unsupported = unsupported_keys(keys);
  return g;
}

}  // namespace ll
