#pragma once
#include "base/json_fields.h"
#include "runtime/api/completion.h"

namespace ll {

// Which tokens a body allows at all: logit_bias, allowed_token_ids, bad_words, with vLLM's
// meanings. A bad word is forbidden at the start of a word and within one; of a word of several
// tokens the last, behind the others. Throws Error that says what is wrong.
void read_token_limits(const JsonFields& body, const CompletionContext& context, SamplingParams& p);

// A token id of a list that `name` names. Throws Error where it is none of the vocabulary.
int32_t token_id(const JsonTree& value, const char* name, const CompletionContext& context);

}  // namespace ll
