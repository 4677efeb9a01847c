#pragma once
// The texts that come with a model's weights, as Hugging Face names and writes them.
#include <array>
#include <string>
#include <string_view>

#include "model/config/model_config.h"

namespace ll {

struct ModelTexts {
  std::string config_json;
  std::string generation_config_json;  // this and the following: empty where the model has none
  std::string tokenizer_json;
  std::string tokenizer_config_json;
  std::string
      chat_template;  // chat_template.jinja; older models have theirs in tokenizer_config.json
};

// File name in a Hugging Face folder, and dataset name in a weight file.
struct ModelText {
  std::string_view file;
  std::string ModelTexts::*text;
};
constexpr std::array<ModelText, 5> kModelTexts = {{
    {"config.json", &ModelTexts::config_json},
    {"generation_config.json", &ModelTexts::generation_config_json},
    {"tokenizer.json", &ModelTexts::tokenizer_json},
    {"tokenizer_config.json", &ModelTexts::tokenizer_config_json},
    {"chat_template.jinja", &ModelTexts::chat_template},
}};
constexpr uint64_t kMaxTextBytes = uint64_t{256} << 20;

// From a Hugging Face folder; config.json must be there.
ModelTexts read_model_texts(const std::string& folder);
// Its tokenizer.json, or one made of vocab.json and merges.txt; empty when it has neither.
std::string read_tokenizer_json(const std::string& folder);
// A file of such a folder. Throws Error where it is the pointer that Git LFS leaves in its place.
std::string read_model_text(const std::string& path);

}  // namespace ll
