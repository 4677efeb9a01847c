#pragma once
// OpenAI's body of a whole answer.
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/completion.h"

namespace ll {

// JSON in one line. Its id is `id` behind "cmpl-" or "chatcmpl-"; `created` is a Unix time in
// seconds. Without a tokenizer texts are empty.
std::string completion_body(const CompletionRequest& request, const std::vector<Choice>& choices,
                            const Usage& usage, std::string_view id, int64_t created,
                            const Tokenizer* tokenizer);

}  // namespace ll
