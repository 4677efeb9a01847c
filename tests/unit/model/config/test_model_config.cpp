#include <doctest/doctest.h>

#include <cmath>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

// A config with some keys set to other JSON, or left out where the value is empty.
std::string config_with(std::initializer_list<std::pair<std::string, std::string>> changes) {
  std::map<std::string, std::string> keys = {{"architectures", R"(["Qwen2ForCausalLM"])"},
                                             {"model_type", R"("qwen2")"},
                                             {"hidden_act", R"("silu")"},
                                             {"hidden_size", "896"},
                                             {"intermediate_size", "4864"},
                                             {"num_hidden_layers", "24"},
                                             {"num_attention_heads", "14"},
                                             {"num_key_value_heads", "2"},
                                             {"max_position_embeddings", "32768"},
                                             {"rope_theta", "1000000.0"},
                                             {"rms_norm_eps", "1e-06"},
                                             {"tie_word_embeddings", "true"},
                                             {"vocab_size", "151936"},
                                             {"torch_dtype", R"("bfloat16")"},
                                             {"eos_token_id", "151645"},
                                             {"use_sliding_window", "false"},
                                             {"sliding_window", "32768"},
                                             {"max_window_layers", "24"}};
  for (const auto& [key, value] : changes)
    value.empty() ? void(keys.erase(key)) : void(keys[key] = value);
  std::string json;
  for (const auto& [key, value] : keys)
    json += fmt::format("{}\"{}\": {}", json.empty() ? "{" : ", ", key, value);
  return json + "}";
}

ModelConfig parse_with(std::initializer_list<std::pair<std::string, std::string>> changes) {
  return parse_model_config(config_with(changes), "config.json");
}

std::string refusal(std::initializer_list<std::pair<std::string, std::string>> changes) {
  return error_of([&] { parse_with(changes); });
}

}  // namespace

TEST_CASE("model config: the test models") {
  auto load = [](const std::string& name) { return load_config_only(kModels + name); };
  ModelConfig docs = load("tiny-qwen2-docs");
  CHECK(docs.hidden_size == 256);
  CHECK(docs.head_dim == 64);
  CHECK(docs.group_size() == 2);
  CHECK(docs.q_size() == 256);
  CHECK(docs.kv_size() == 128);
  CHECK(docs.rope.theta == 1e6);
  CHECK(docs.max_position == 4096);
  CHECK(docs.tie_word_embeddings);
  CHECK(docs.eos_token_ids == std::vector<int32_t>{8000});
  CHECK(load("random-hd64").num_kv_heads == 1);
  CHECK_FALSE(load("random-hd64").tie_word_embeddings);
  CHECK(load("random-hd128").head_dim == 128);
}

TEST_CASE("model config: parameter counts of the published models") {
  CHECK(parse_with({}).num_parameters() == 494'032'768);
  CHECK(parse_with({{"hidden_size", "1536"},
                    {"intermediate_size", "8960"},
                    {"num_hidden_layers", "28"},
                    {"num_attention_heads", "12"}})
            .num_parameters() == 1'543'714'304);
  CHECK(parse_with({{"hidden_size", "3584"},
                    {"intermediate_size", "18944"},
                    {"num_hidden_layers", "28"},
                    {"num_attention_heads", "28"},
                    {"num_key_value_heads", "4"},
                    {"vocab_size", "152064"},
                    {"tie_word_embeddings", "false"}})
            .num_parameters() == 7'615'616'512);
}

TEST_CASE("model config: keys of transformers 4 and 5, given, null and absent") {
  CHECK(parse_with({}).head_dim == 64);
  CHECK(parse_with({{"head_dim", "null"}}).head_dim == 64);
  CHECK(parse_with({{"head_dim", "128"}}).q_size() == 14 * 128);
  CHECK(parse_with({{"num_key_value_heads", "null"}}).num_kv_heads == 14);
  CHECK(parse_with({}).dtype == DType::bf16);
  CHECK(parse_with({{"torch_dtype", R"("float16")"}}).dtype == DType::f16);
  CHECK(parse_with({{"dtype", R"("float32")"}}).dtype == DType::f32);
  CHECK(parse_with({{"torch_dtype", ""}}).dtype == DType::bf16);
  CHECK(parse_with({{"eos_token_id", "null"}}).eos_token_ids.empty());
  CHECK(parse_with({{"eos_token_id", "[151645, 151643]"}}).eos_token_ids ==
        std::vector<int32_t>{151645, 151643});
  CHECK(parse_with({{"rope_theta", ""}}).rope.theta == 10000);
  CHECK(parse_with({{"rope_scaling", "null"}}).rope.type == RopeConfig::Type::kDefault);
  CHECK(parse_with({{"rope_theta", ""},
                    {"rope_parameters", R"({"rope_theta": 5e5, "rope_type": "default"})"}})
            .rope.theta == 5e5);
  CHECK(parse_with({{"architectures", ""}}).num_layers == 24);
  CHECK(parse_with({{"model_type", ""}}).num_layers == 24);
}

TEST_CASE("model config: yarn as transformers 4 and 5 write it") {
  const std::string four =
      R"({"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"})";
  for (const ModelConfig& c :
       {parse_with({{"rope_scaling", four}}),
        parse_with({{"rope_theta", ""},
                    {"rope_parameters", R"({"rope_type": "yarn", "rope_theta": 1e6, "factor": 4,
                                            "original_max_position_embeddings": 32768})"}})}) {
    CHECK(c.rope.type == RopeConfig::Type::kYarn);
    CHECK(c.rope.theta == 1e6);
    CHECK(c.rope.factor == 4);
    CHECK(c.rope.original_max_position == 32768);
    CHECK(c.rope.attention_factor == doctest::Approx(0.1 * std::log(4.0) + 1));
    CHECK(c.rope.beta_fast == 32);
    CHECK(c.rope.beta_slow == 1);
    CHECK(c.rope.truncate);
    CHECK(c.max_position == 131072);
  }
  ModelConfig c =
      parse_with({{"max_position_embeddings", "131072"},
                  {"rope_scaling", R"({"rope_type": "yarn", "factor": null, "beta_fast": 16,
      "original_max_position_embeddings": 32768, "beta_slow": 2, "truncate": false, "attention_factor": 0.5})"}});
  CHECK(c.rope.factor == 4);
  CHECK(c.rope.attention_factor == 0.5);
  CHECK(c.rope.beta_fast == 16);
  CHECK(c.rope.beta_slow == 2);
  CHECK_FALSE(c.rope.truncate);
  CHECK(c.max_position == 131072);
  c = parse_with(
      {{"rope_scaling", R"({"type": "yarn", "factor": 2, "mscale": 1.0, "mscale_all_dim": 0.5})"}});
  CHECK(c.rope.original_max_position == 32768);
  CHECK(c.rope.attention_factor ==
        doctest::Approx((0.1 * std::log(2.0) + 1) / (0.05 * std::log(2.0) + 1)));
  CHECK(c.max_position == 65536);
}

TEST_CASE("model config: a sliding window that no layer uses is none") {
  CHECK(parse_with({{"use_sliding_window", "true"}}).num_layers == 24);
  CHECK(parse_with({{"use_sliding_window", "true"}, {"max_window_layers", ""}}).num_layers == 24);
  CHECK(
      parse_with(
          {{"use_sliding_window", "true"}, {"max_window_layers", "0"}, {"sliding_window", "null"}})
          .num_layers == 24);
  std::string full = R"(["full_attention")";
  for (int i = 1; i < 24; ++i) full += R"(, "full_attention")";
  CHECK(
      parse_with(
          {{"use_sliding_window", "true"}, {"max_window_layers", "3"}, {"layer_types", full + "]"}})
          .num_layers == 24);
}

TEST_CASE("model config: keys of other families are not used") {
  CHECK(parse_with({{"attention_bias", "true"}, {"mlp_bias", "false"}}).unused_keys.empty());
  CHECK(parse_with({{"attention_bias", "false"}, {"mlp_bias", "true"}}).unused_keys ==
        std::vector<std::string>{"attention_bias", "mlp_bias"});
}

TEST_CASE("model config: what is not supported is refused by name") {
  struct Row {
    std::string key, value, says;
  };
  std::vector<Row> rows = {
      {"model_type", R"("llama")", R"(model_type is "llama")"},
      {"model_type", R"("qwen2_moe")", "only Qwen2 and Qwen2.5 dense"},
      {"architectures", R"(["Qwen2ForSequenceClassification"])", "architectures is"},
      {"architectures", "[]", "architectures is []"},
      {"hidden_act", R"("gelu")", R"(hidden_act is "gelu": only silu)"},
      {"use_mrope", "true", "use_mrope is true"},
      {"quantization_config", R"({"quant_method": "awq"})", "quantization_config is"},
      {"layer_types", R"(["sliding_attention"])", "layer_types is"},
      {"layer_types", R"(["full_attention"])", "each of the 24 layers"},
      {"partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5"},
      {"torch_dtype", R"("float8_e4m3fn")", R"(torch_dtype is "float8_e4m3fn")"},
      {"dtype", R"("int8")", R"(dtype is "int8")"},
      {"rope_scaling", R"({"type": "dynamic", "factor": 2})", R"(rope_scaling: type is "dynamic")"},
      {"rope_scaling", R"({"rope_type": "llama3"})", R"(rope_scaling: rope_type is "llama3")"},
      {"rope_parameters", R"({"rope_type": "linear"})",
       R"(rope_parameters: rope_type is "linear")"},
      {"rope_parameters", R"({"full_attention": {"rope_type": "default"}})", "full_attention is"},
      {"rope_scaling", R"({"type": "default", "mrope_section": [16, 24, 24]})", "mrope_section is"},
      {"rope_scaling", R"({"type": "yarn", "factor": 0.5})", "factor: 0.5"},
      {"rope_scaling", R"({"type": "yarn", "factor": 1e5})", "extends 32768 positions past"},
      {"rope_scaling", R"({"type": "yarn", "factor": "4"})", R"(factor: "4")"},
      {"rope_scaling", R"({"type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 2})",
       "beta_fast is 1"},
      {"rope_scaling", R"("yarn")", "rope_scaling: is not a JSON object"},
      {"hidden_size", "", "hidden_size is missing"},
      {"hidden_size", "-896", "hidden_size: -896 is not a whole number from 1"},
      {"hidden_size", "0", "hidden_size: 0"},
      {"hidden_size", "896.5", "hidden_size: 896.5"},
      {"hidden_size", "true", "hidden_size: true"},
      {"hidden_size", "\"896\"", "hidden_size: \"896\""},
      {"hidden_size", "18446744073709551615", "hidden_size: 18446744073709551615"},
      {"hidden_size", "900", "hidden_size is 900: must be a multiple of num_attention_heads, 14"},
      {"head_dim", "63", "head_dim is 63: must be even"},
      {"head_dim", "1000000", "head_dim: 1000000"},
      {"intermediate_size", "99999999999", "intermediate_size: 99999999999"},
      {"num_hidden_layers", "0", "num_hidden_layers: 0"},
      {"num_hidden_layers", "1000000", "num_hidden_layers: 1000000"},
      {"num_attention_heads", "0", "num_attention_heads: 0"},
      {"num_key_value_heads", "3", "num_key_value_heads is 3: must divide num_attention_heads, 14"},
      {"vocab_size", "0", "vocab_size: 0"},
      {"vocab_size", "4294967296", "vocab_size: 4294967296"},
      {"max_position_embeddings", "0", "max_position_embeddings: 0"},
      {"rms_norm_eps", "-1e-6", "rms_norm_eps: -1e-06"},
      {"rope_theta", "0", "rope_theta: 0"},
      {"eos_token_id", "-1", "eos_token_id: -1"},
      {"eos_token_id", "[1, \"2\"]", "eos_token_id: \"2\" is not a whole number"},
      {"eos_token_id", "4294967296", "eos_token_id: 4294967296"},
      {"tie_word_embeddings", "1", "tie_word_embeddings: 1 is neither true nor false"}};
  for (const Row& row : rows) {
    std::string error = refusal({{row.key, row.value}});
    CAPTURE(row.key);
    CAPTURE(row.value);
    CAPTURE(error);
    CHECK(error.starts_with("config.json: "));
    CHECK(contains(error, row.says));
    CHECK_FALSE(contains(error, "\n"));
  }
  CHECK(contains(refusal({{"model_type", ""}, {"architectures", ""}}), "model_type is missing"));
  CHECK(contains(refusal({{"use_sliding_window", "true"}, {"max_window_layers", "23"}}),
                 "use_sliding_window is true: sliding window attention is not supported"));
}

TEST_CASE("model config: text that is no config") {
  for (const char* text :
       {"", "{", "[]", "null", "3", "\"x\"", "{\"a\": 1e999}", "{\"\xff\": 1}"}) {
    CAPTURE(text);
    CHECK(error_of([&] { parse_model_config(text, "here"); }).starts_with("here: "));
  }
  CHECK(contains(error_of([] { parse_model_config(std::string(100000, '['), "here"); }),
                 "nested deeper"));
  CHECK(contains(error_of([] { parse_model_config(std::string(10 << 20, ' '), "here"); }),
                 "too many"));
}

TEST_CASE("generation config: what is not kept is named, unless it changes nothing") {
  auto unsupported = [](const char* json) {
    return parse_generation_config(json, "here").unsupported;
  };
  CHECK(unsupported(R"({"num_beams": 1, "typical_p": 1.0, "no_repeat_ngram_size": 0,
    "suppress_tokens": [], "bad_words_ids": null, "max_length": 20, "bos_token_id": 1,
    "pad_token_id": 2, "use_cache": true, "transformers_version": "5.17.0"})")
            .empty());
  CHECK(unsupported(R"({"num_beams": 4, "suppress_tokens": [7], "max_length": 512})") ==
        std::vector<std::string>{"num_beams", "suppress_tokens", "max_length"});
  CHECK(unsupported(R"({"max_length": 512, "max_new_tokens": 5})").empty());
}

TEST_CASE("generation config") {
  GenerationConfig none = parse_generation_config("", "here");
  CHECK(none.temperature == 1);
  CHECK(none.top_k == 0);
  CHECK(none.min_p == 0);
  CHECK(none.max_new_tokens == 0);
  CHECK(none.eos_token_ids.empty());
  GenerationConfig g =
      parse_generation_config(R"({"do_sample": true, "eos_token_id": [151645, 151643],
    "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05, "bos_token_id": null,
    "min_p": 0.25, "max_new_tokens": 2048})",
                              "here");
  CHECK(g.eos_token_ids == std::vector<int32_t>{151645, 151643});
  CHECK(g.temperature == 0.7f);
  CHECK(g.top_p == 0.8f);
  CHECK(g.top_k == 20);
  CHECK(g.repetition_penalty == 1.05f);
  CHECK(g.min_p == 0.25f);
  CHECK(g.max_new_tokens == 2048);
  CHECK(parse_generation_config(R"({"top_k": -1, "top_p": null})", "here").top_k == 0);
  CHECK(parse_generation_config(R"({"top_p": 0, "top_k": 20.0})", "here").top_k == 20);
  CHECK(g.unsupported.empty());
  // Without do_sample the likeliest token is taken, whatever the temperature; with it top_k is 50.
  CHECK(parse_generation_config("{}", "here").temperature == 0);
  CHECK(parse_generation_config(R"({"temperature": 0.7})", "here").temperature == 0);
  CHECK(parse_generation_config(R"({"temperature": 0.7})", "here").top_k == 0);
  CHECK(parse_generation_config(R"({"do_sample": true})", "here").temperature == 1);
  CHECK(parse_generation_config(R"({"do_sample": true})", "here").top_k == 50);
  CHECK(parse_generation_config(R"({"do_sample": true, "top_k": 0})", "here").top_k == 0);
  CHECK(
      parse_generation_config(R"({"do_sample": false, "temperature": 0.7})", "here").temperature ==
      0);
  for (const char* bad :
       {R"({"top_p": -1})", R"({"min_p": 1.5})", R"({"max_new_tokens": 0})", R"({"top_p": 1.5})",
        R"({"temperature": -1})", R"({"repetition_penalty": 0})", R"({"top_k": 1.5})",
        R"({"do_sample": 1})"}) {
    CAPTURE(bad);
    CHECK(error_of([&] { parse_generation_config(bad, "here"); }).starts_with("here: "));
  }
}
