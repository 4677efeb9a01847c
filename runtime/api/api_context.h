#pragma once
// What a model and the configuration bring to requests: tokenizer, chat template, defaults, limits.
#include <optional>

#include "runtime/api/completion.h"
#include "runtime/config/engine_config.h"
#include "runtime/config/model_files.h"

namespace ll {

// Owns what the context refers to.
struct ApiContext {
  // `max_length`: positions a sequence may have; `num_kv_positions`: those of all pages.
  ApiContext(const EngineConfig& config, const ModelFiles& files, int64_t max_length,
             int64_t num_kv_positions);
  ApiContext(const ApiContext&) = delete;
  ApiContext& operator=(const ApiContext&) = delete;

  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  CompletionContext context;
};

}  // namespace ll
