#pragma once
#include <string>
#include <string_view>

namespace ll {

// What transformers makes of a folder that has a vocab.json and a merges.txt but no tokenizer.json:
// the tokenizer.json of a Qwen2 tokenizer, with the added tokens of tokenizer_config.json. Empty
// where the folder lacks one of the two; throws Error where the config asks for another class.
std::string tokenizer_json_of_parts(const std::string& folder,
                                    std::string_view tokenizer_config_json);

}  // namespace ll
