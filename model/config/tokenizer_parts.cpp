#include "model/config/tokenizer_parts.h"

#include <charconv>
#include <filesystem>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/printable.h"
#include "model/config/model_texts.h"

namespace ll {

namespace {

constexpr std::string_view kTokenizer = R"json("normalizer": {"type": "NFC"},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
   "behavior": "Isolated", "invert": false},
  {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
"post_processor": null,
"decoder": {"type": "ByteLevel"},
)json";

// A line a merge; one that begins with "#version" is a header.
std::string merges_of(std::string_view text) {
  std::string list = "[";
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    if (list.size() > 1) list += ',';
    append_json_string(list, line);
  }
  return list + "]";
}

// {"151643": {"content": ...}} to [{"id": 151643, "content": ...}].
std::string added_tokens_of(const JsonTree& config) {
  const JsonTree* decoder = config.find("added_tokens_decoder");
  std::string list = "[";
  if (decoder == nullptr || !decoder->is(JsonTree::Kind::kObject)) return "[]";
  for (const auto& [id, token] : decoder->members) {
    JsonTree with_id = token;
    int64_t number = -1;
    std::from_chars(id.data(), id.data() + id.size(), number);
    JsonTree value;
    value.kind = JsonTree::Kind::kNumber;
    value.text = std::to_string(number);
    with_id.members.insert(with_id.members.begin(), {"id", value});
    if (list.size() > 1) list += ',';
    list += with_id.python_dump();
  }
  return list + "]";
}

}  // namespace

std::string tokenizer_json_of_parts(const std::string& folder,
                                    std::string_view tokenizer_config_json) {
  std::filesystem::path vocab = std::filesystem::path(folder) / "vocab.json";
  std::filesystem::path merges = std::filesystem::path(folder) / "merges.txt";
  if (!std::filesystem::exists(vocab) || !std::filesystem::exists(merges)) return "";
  JsonTree config;
  if (!tokenizer_config_json.empty())
    config = JsonTree::parse(tokenizer_config_json, folder + "/tokenizer_config.json");
  const JsonTree* type = config.find("tokenizer_class");
  if (type != nullptr && !type->text.starts_with("Qwen2Tokenizer"))
    fail(
        "{}: has no tokenizer.json, and its tokenizer_class is {}: only a Qwen2Tokenizer can be "
        "made of vocab.json and merges.txt; save tokenizer.json with transformers",
        folder, printable(type->text, 40));
  return fmt::format(
      "{{\"added_tokens\": {},\n{}\"model\": {{\"type\": \"BPE\", \"vocab\": {},\n"
      "\"merges\": {}}}}}\n",
      added_tokens_of(config), kTokenizer, read_model_text(vocab),
      merges_of(read_model_text(merges)));
}

}  // namespace ll
