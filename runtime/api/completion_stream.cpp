#include "runtime/api/completion_stream.h"

#include <fmt/core.h>

#include <utility>

#include "base/json_tree.h"
#include "runtime/api/choice_json.h"
#include "runtime/api/logprob_json.h"

namespace ll {

CompletionStream::CompletionStream(std::shared_ptr<const CompletionRequest> request,
                                   std::string_view id, int64_t created, const Tokenizer* tokenizer)
    : request_(std::move(request)),
      tokenizer_(tokenizer),
      is_chat_(request_->endpoint == Endpoint::kChatCompletions),
      id_(id),
      choices_(static_cast<size_t>(request_->num_choices())) {
  head_ = fmt::format(R"({{"id":"{}-{}","object":"{}","created":{},"model":)",
                      is_chat_ ? "chatcmpl" : "cmpl", id,
                      is_chat_ ? "chat.completion.chunk" : "text_completion", created);
  append_json_string(head_, request_->model);
  head_ += R"(,"choices":[)";
  if (request_->markup.is_any())
    for (ChoiceState& state : choices_) state.output.emplace(request_->markup);
  for (const auto& prompt : request_->prompts)
    num_prompt_tokens_ += static_cast<int64_t>(prompt.size());
}

// Written by hand: there is one a token, of every stream.
std::string CompletionStream::chunk(int32_t index, const std::string& content,
                                    std::string_view logprobs, std::string_view finish_reason,
                                    std::string_view more) const {
  std::string out = head_;
  out += fmt::format(R"({{"index":{},{},"logprobs":{},"finish_reason":)", index, content, logprobs);
  if (finish_reason.empty())
    out += "null";
  else
    append_json_string(out, finish_reason);
  out.append(more).append("}]");
  if (request_->continuous_usage_stats)
    out += fmt::format(R"(,"usage":{})", dump(usage_json(num_prompt_tokens_, num_tokens_)));
  else if (request_->include_usage)
    out += R"(,"usage":null)";
  return out += '}';
}

std::string CompletionStream::content_of(const Piece& piece, bool is_end) const {
  std::string content = is_chat_ ? R"("delta":{)" : R"("text":)";
  if (!is_chat_) {
    append_json_string(content, piece.text);
    return content;
  }
  if (!piece.text.empty() || !is_end) {
    content += R"("content":)";
    append_json_string(content, piece.text);
  }
  return content += '}';
}

// What comes in front of a choice's first token.
void CompletionStream::begin(const Delta& delta, ChoiceState& state, Piece& piece) const {
  state.has_begun = true;
  const CompletionRequest& r = *request_;
  auto prompt = static_cast<size_t>(delta.choice / r.params.n);
  piece.text = echo_of(r, prompt, tokenizer_);
  if (r.return_token_ids) piece.more = ",\"prompt_token_ids\":" + dump(Json(r.prompts[prompt]));
  if (r.params.prompt_logprobs < 0 || !r.echo) return;
  LogprobLists lists(r, tokenizer_);
  lists.add_prompt(r, prompt, *delta.prompt_logprobs, piece.text);
  state.place = lists.place();
  piece.logprobs = lists.json();
}

// Those of the tokens whose text is there. A token without its text, be it held back or a part of a
// character, waits: its place shows by what follows.
std::string CompletionStream::completion_logprobs(const Delta& delta, ChoiceState& state) const {
  bool skips = request_->text.skip_special_tokens;
  state.text += delta.text;
  if (delta.logprob) state.scored.push_back(*delta.logprob);
  size_t size = 0;
  if (tokenizer_)
    for (const TokenLogprob& t : state.scored)
      if (!skips || !tokenizer_->is_special(t.token))
        size += tokenizer_->token_bytes(t.token).size();
  bool is_end = delta.finish_reason != FinishReason::kNone;
  if (state.scored.empty() || (size > state.text.size() && !is_end)) return "null";
  LogprobLists lists(*request_, tokenizer_, state.place);
  lists.add_answer(*request_, state.scored, state.text);
  state.place = lists.place();
  state.text.clear();
  state.scored.clear();
  return lists.json();
}

// Chunks of what the text is made of, reasoning and calls; the piece keeps what none of them says.
std::vector<std::string> CompletionStream::pieces_of(const Delta& delta, ChoiceState& state,
                                                     Piece& piece) const {
  std::vector<std::string> chunks;
  std::vector<ChatPiece> pieces = state.output->push(std::exchange(piece.text, {}));
  if (delta.finish_reason != FinishReason::kNone)
    for (ChatPiece& last : state.output->finish()) pieces.push_back(std::move(last));
  for (const ChatPiece& p : pieces) {
    Json part;
    Json call = {{"index", p.call}};
    switch (p.kind) {
      case ChatPiece::Kind::kReasoning:
        part["reasoning_content"] = p.text;
        break;
      case ChatPiece::Kind::kContent:
        part["content"] = p.text;
        break;
      case ChatPiece::Kind::kCall:
        call.update(call_json(p, id_, delta.choice));
        part["tool_calls"] = Json::array({std::move(call)});
        break;
      case ChatPiece::Kind::kArguments:
        call["function"] = {{"arguments", p.text}};
        part["tool_calls"] = Json::array({std::move(call)});
        break;
    }
    chunks.push_back(
        chunk(delta.choice, "\"delta\":" + dump(part), piece.logprobs, "", piece.more));
    piece.logprobs = "null", piece.more.clear();
  }
  return chunks;
}

std::vector<std::string> CompletionStream::push(const Delta& delta) {
  std::vector<std::string> chunks;
  const CompletionRequest& r = *request_;
  ChoiceState& state = choices_.at(static_cast<size_t>(delta.choice));
  bool is_end = delta.finish_reason != FinishReason::kNone;
  if (!state.has_begun && is_chat_)
    chunks.push_back(
        chunk(delta.choice, R"("delta":{"role":"assistant","content":""})", "null", "", ""));
  Piece piece;
  if (!state.has_begun) begin(delta, state, piece);
  bool has_front = !piece.text.empty() || piece.logprobs != "null";
  if (has_front && !r.drop_output) {
    chunks.push_back(chunk(delta.choice, content_of(piece, false), piece.logprobs, "", piece.more));
    piece = {};
  }
  if (!r.drop_output) {
    ++num_tokens_;
    piece.text = delta.text;
    if (is_chat_ && delta.logprob)
      piece.logprobs = chat_logprobs(r, {&*delta.logprob, 1}, tokenizer_);
    else if (!is_chat_ && r.params.logprobs >= 0)
      piece.logprobs = completion_logprobs(delta, state);
    if (r.return_token_ids) piece.more += fmt::format(",\"token_ids\":[{}]", delta.token);
  }
  if (state.output)
    for (std::string& part : pieces_of(delta, state, piece)) chunks.push_back(std::move(part));
  bool is_empty = piece.text.empty() && piece.logprobs == "null" && piece.more.empty();
  if (is_empty && !is_end) return chunks;
  FinishReason ending = r.drop_output ? FinishReason::kLength : delta.finish_reason;
  bool has_calls = state.output && state.output->num_calls() > 0;
  std::string_view reason = is_end ? chat_reason(ending, has_calls) : "";
  chunks.push_back(
      chunk(delta.choice, content_of(piece, is_end), piece.logprobs, reason, piece.more));
  return chunks;
}

std::string CompletionStream::finish(const Usage& usage) const {
  if (!request_->include_usage) return "";
  return fmt::format("{}],\"usage\":{}}}", head_, dump(usage_json(usage, request_->drop_output)));
}

}  // namespace ll
