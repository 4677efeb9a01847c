#include "runtime/api/api_context.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/json_tree.h"

namespace ll {
namespace {

bool has_template(const ModelTexts& texts) {
  if (!texts.chat_template.empty()) return true;
  const std::string& config = texts.tokenizer_config_json;
  return !config.empty() && JsonTree::parse(config, "").find("chat_template") != nullptr;
}

// The chat template, or why there is none.
std::optional<ChatTemplate> find_chat_template(const ModelTexts& texts, std::string& reason) {
  reason = "messages: this model has no chat template; send a rendered prompt to /v1/completions";
  try {
    std::string_view config = texts.tokenizer_config_json;
    if (!config.empty() || !texts.chat_template.empty())
      return ChatTemplate::from_config(config.empty() ? "{}" : config, "tokenizer_config.json",
                                       texts.chat_template);
  } catch (const Error& e) {
    reason = fmt::format("messages: {}", e.what());
    if (has_template(texts)) fmt::print(stderr, "litelang: {}; chats are refused\n", e.what());
  }
  return std::nullopt;
}

}  // namespace

ApiContext::ApiContext(const EngineConfig& config, const ModelFiles& files, int64_t max_length,
                       int64_t num_kv_positions) {
  if (!files.texts.tokenizer_json.empty())
    tokenizer = Tokenizer::from_json(files.texts.tokenizer_json, "tokenizer.json");
  check(
      !tokenizer || tokenizer->vocab_size() <= files.config.vocab_size,
      "tokenizer.json: it has token ids up to {}, but the model's vocab_size is {}: the tokenizer "
      "belongs to another model",
      tokenizer ? tokenizer->vocab_size() - 1 : 0, files.config.vocab_size);
  const std::string& tokenizer_config = files.texts.tokenizer_config_json;
  if (!tokenizer_config.empty()) JsonTree::parse(tokenizer_config, "tokenizer_config.json");
  chat_template = find_chat_template(files.texts, context.no_chat_reason);
  auto limit = [&](int64_t wanted) {
    return wanted > 0 ? std::min(wanted, max_length) : max_length;
  };
  context.tokenizer = tokenizer ? &*tokenizer : nullptr;
  context.chat_template = tokenizer && chat_template ? &*chat_template : nullptr;
  context.model_name = std::filesystem::path(config.model.path).filename().string();
  bool is_generations = !files.generation.eos_token_ids.empty();
  context.eos_token_ids =
      is_generations ? files.generation.eos_token_ids : files.config.eos_token_ids;
  // Nothing would ever end.
  for (int32_t id : context.eos_token_ids)
    check(
        id < files.config.vocab_size,
        "{}: eos_token_id {} is outside the model's vocabulary of {}: the file belongs to another "
        "model",
        is_generations ? "generation_config.json" : "config.json", id, files.config.vocab_size);
  context.defaults = files.generation;
  for (const std::string& note : files.notes) fmt::print(stderr, "litelang: {}\n", note);
  if (!files.generation.unsupported.empty())
    fmt::print(stderr, "litelang: generation_config.json: not supported, and not used: {}\n",
               fmt::join(files.generation.unsupported, ", "));
  context.vocab_size = static_cast<int32_t>(files.config.vocab_size);
  context.max_input_length = limit(config.scheduler.max_input_length);
  context.max_output_length = limit(config.scheduler.max_output_length);
  context.max_length = max_length;
  context.num_kv_positions = num_kv_positions;
  if (!config.scheduler.chunked_prefill)  // a sequence that starts over runs in one step
    context.num_kv_positions =
        std::min<int64_t>(num_kv_positions, config.scheduler.max_num_batched_tokens);
}

}  // namespace ll
