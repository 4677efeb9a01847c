#pragma once
// How the prompts of a batch are read and its answers written.
#include <optional>

#include "runtime/api/completion.h"
#include "runtime/config/engine_config.h"
#include "runtime/config/model_files.h"

namespace ll {

// Owns what the context refers to.
struct BatchTexts {
  // `max_length`: positions a sequence may have.
  BatchTexts(const EngineConfig& config, const ModelFiles& files, int64_t max_length);
  BatchTexts(const BatchTexts&) = delete;
  BatchTexts& operator=(const BatchTexts&) = delete;

  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  CompletionContext context;
};

}  // namespace ll
