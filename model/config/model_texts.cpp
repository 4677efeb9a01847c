#include "model/config/model_texts.h"

#include <filesystem>

#include "base/check.h"
#include "base/foreign_format.h"
#include "base/input_file.h"
#include "model/config/tokenizer_parts.h"

namespace ll {

std::string read_model_text(const std::string& path) {
  std::string text = InputFile(path).read_all(kMaxTextBytes);
  check_plain_text(std::string_view(text).substr(0, kFormatBytes), path);
  return text;
}

std::string read_tokenizer_json(const std::string& folder) {
  std::filesystem::path whole = std::filesystem::path(folder) / "tokenizer.json";
  if (std::filesystem::exists(whole)) return read_model_text(whole);
  std::filesystem::path config = std::filesystem::path(folder) / "tokenizer_config.json";
  return tokenizer_json_of_parts(folder,
                                 std::filesystem::exists(config) ? read_model_text(config) : "");
}

ModelTexts read_model_texts(const std::string& folder) {
  ModelTexts texts;
  for (const ModelText& entry : kModelTexts) {
    std::filesystem::path path = std::filesystem::path(folder) / entry.file;
    if (std::filesystem::exists(path)) texts.*entry.text = read_model_text(path);
  }
  check(!texts.config_json.empty(),
        "{}: has no config.json, so it is not a Hugging Face model folder", folder);
  if (texts.tokenizer_json.empty()) texts.tokenizer_json = read_tokenizer_json(folder);
  return texts;
}

}  // namespace ll
