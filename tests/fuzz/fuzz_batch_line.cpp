// Input: a line of a batch file, for the tiny model. Any bytes give a request within the model's
// limits or an Error of one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "model/config/model_texts.h"
#include "runtime/batch/batch_envelope.h"

namespace {

constexpr int64_t kMaxLength = 4096;
constexpr int32_t kVocabSize = 8192;

// With what rank 0 reads batch files.
struct TinyModel {
  ll::ModelTexts texts = ll::read_model_texts(LITELANG_TEST_DATA "/models/tiny-qwen2-docs");
  ll::Tokenizer tokenizer = ll::Tokenizer::from_json(texts.tokenizer_json, "tokenizer.json");
  ll::ChatTemplate chat_template =
      ll::ChatTemplate::from_config(texts.tokenizer_config_json, "tokenizer_config.json");
  ll::CompletionContext context;

  TinyModel() {
    context.tokenizer = &tokenizer;
    context.chat_template = &chat_template;
    context.model_name = "tiny";
    context.eos_token_ids = {8000};
    context.vocab_size = kVocabSize;
    context.max_input_length = context.max_output_length = context.max_length = kMaxLength;
  }
};

bool is_sane(const ll::CompletionRequest& r) {
  auto fits = [](const std::vector<int32_t>& prompt) {
    return !prompt.empty() && static_cast<int64_t>(prompt.size()) <= kMaxLength &&
           std::all_of(prompt.begin(), prompt.end(),
                       [](int32_t id) { return id >= 0 && id < kVocabSize; });
  };
  const ll::SamplingParams& p = r.params;
  return !r.prompts.empty() && std::all_of(r.prompts.begin(), r.prompts.end(), fits) && p.n > 0 &&
         p.max_tokens > 0 && p.max_tokens <= kMaxLength && p.min_tokens <= p.max_tokens &&
         p.temperature >= 0 && p.top_p > 0 && p.top_p <= 1 && p.top_k >= 0 &&
         p.repetition_penalty > 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TinyModel model;
  std::string custom_id;
  try {
    std::string_view line(reinterpret_cast<const char*>(data), size);
    auto request = ll::parse_batch_line(line, 1, 7, model.context, custom_id);
    if (custom_id.empty() || !is_sane(request)) std::abort();
  } catch (const ll::Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
