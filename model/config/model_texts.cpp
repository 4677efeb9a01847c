#include "model/config/model_texts.h"

#include <filesystem>

#include "base/check.h"
#include "base/input_file.h"

namespace ll {

ModelTexts read_model_texts(const std::string& folder) {
  ModelTexts texts;
  for (const ModelText& entry : kModelTexts) {
    std::filesystem::path path = std::filesystem::path(folder) / entry.file;
    if (std::filesystem::exists(path)) texts.*entry.text = InputFile(path).read_all(kMaxTextBytes);
  }
  check(!texts.config_json.empty(),
        "{}: has no config.json, so it is not a Hugging Face model folder", folder);
  return texts;
}

}  // namespace ll
