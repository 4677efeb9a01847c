#include "runtime/api/completion.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/unit/runtime/api/completion_context.h"
#include "tests/unit/runtime/api/tiny_tokens.h"

using namespace ll;
using namespace ll::test;

namespace {

using R = CompletionRequest;

struct Accepted {
  std::string fields;
  std::function<bool(const R&)> holds;
};
struct Refused {
  std::string fields, message;
};

void check_accepted(const std::vector<Accepted>& list, bool chat = false) {
  for (const Accepted& a : list) {
    CAPTURE(a.fields);
    CHECK(a.holds(parse(chat ? chat_of(a.fields) : completion_of(a.fields))));
  }
}

void check_refused(const std::vector<Refused>& list, bool chat = false) {
  for (const Refused& r : list) {
    CAPTURE(r.fields);
    CHECK(refusal(chat ? chat_of(r.fields) : completion_of(r.fields)) == r.message);
  }
}

const ChatTemplate& tools_template() {
  static const ChatTemplate chat = ChatTemplate::from_config(
      read_data("tokenizers/qwen2.5/tokenizer_config.json"), "tokenizer_config.json");
  return chat;
}

}  // namespace

TEST_CASE("completion: endpoints and bodies") {
  R r = parse(completion_of(""));
  CHECK(r.endpoint == Endpoint::kCompletions);
  CHECK(r.model == "tiny-qwen2-docs");
  CHECK(r.num_choices() == 1);
  CHECK(refusal({Endpoint::kCompletions, "[1]"}) == "body: must be an object");
  CHECK(endpoint_of("/v1/completions") == Endpoint::kCompletions);
  CHECK(endpoint_of("/v1/chat/completions") == Endpoint::kChatCompletions);
  CHECK(!endpoint_of("/v1/embeddings"));
}

TEST_CASE("completion: prompts") {
  auto prompts = [](const std::string& json) { return parse(completion_of("", json)).prompts; };
  using Prompts = std::vector<std::vector<int32_t>>;
  CHECK(prompts("\"one two\"") == Prompts{encode("one two")});
  CHECK(prompts("[\"one\", \"two\"]") == Prompts{encode("one"), encode("two")});
  CHECK(prompts("[5, 6, 7]") == Prompts{{5, 6, 7}});
  CHECK(prompts("[[5, 6], [7], \"one\"]") == Prompts{{5, 6}, {7}, encode("one")});
  CHECK(prompts("\"<|im_start|>\"") == Prompts{{tiny_docs().id_of("<|im_start|>").value()}});
  auto error = [](const std::string& json) { return refusal(completion_of("", json)); };
  CHECK(error("\"\"") == "prompt: has no tokens");
  CHECK(error("[[5], []]") == "prompt: has no tokens");
  CHECK(error("[]") == "prompt: must be a string or a list of token ids");
  CHECK(error("null") == "prompt: is missing");
  CHECK(error("5") == "prompt: must be a string or a list of token ids");
  CHECK(error("[5, \"a\"]") == "prompt: \"a\" is not a token id");
  CHECK(error("[5, 1.5]") == "prompt: 1.5 is not a token id");
  CHECK(error("[8192]") == "prompt: token id 8192 is outside the vocabulary of 8192");
  CHECK(error("[-1]") == "prompt: token id -1 is outside the vocabulary of 8192");
  CHECK(error("[{\"a\": 1}]") == "prompt: must be strings, or lists of token ids");
  CHECK(error("[[[1]]]") == "prompt: [1] is not a token id");
}

TEST_CASE("completion: defaults are OpenAI's, and the model's own where it has some") {
  R r = parse(completion_of(""));
  const SamplingParams& p = r.params;
  CHECK(p.n == 1);
  CHECK(p.temperature == 1);
  CHECK(p.top_p == 1);
  CHECK(p.top_k == 0);
  CHECK(p.min_p == 0);
  CHECK(p.repetition_penalty == 1);
  CHECK(p.max_tokens == 16);
  CHECK(p.min_tokens == 0);
  CHECK(p.logprobs == -1);
  CHECK(p.prompt_logprobs == -1);
  CHECK(r.text.skip_special_tokens);
  CHECK((!p.ignore_eos && !r.text.include_stop_str_in_output && !r.echo && !r.return_token_ids));
  CompletionContext context = make_context();
  context.defaults.temperature = 0.7f;
  context.defaults.top_p = 0.8f;
  context.defaults.top_k = 20;
  context.defaults.min_p = 0.25f;
  context.defaults.max_new_tokens = 40;
  context.defaults.repetition_penalty = 1.1f;
  SamplingParams own = parse(completion_of(""), context).params;
  CHECK(own.temperature == 0.7f);
  CHECK(own.top_p == 0.8f);
  CHECK(own.top_k == 20);
  CHECK(own.repetition_penalty == 1.1f);
  CHECK(own.min_p == 0.25f);
  CHECK(own.max_tokens == 40);
  CHECK(parse(chat_of(""), context).params.max_tokens == 40);
  CHECK(parse(chat_of(R"("max_tokens": 50)"), context).params.max_tokens == 50);
  own = parse(completion_of(R"("temperature": 0, "top_k": -1, "top_p": 1)"), context).params;
  CHECK(own.temperature == 0);
  CHECK(own.top_k == 0);
  CHECK(own.top_p == 1);
}

TEST_CASE("completion: null stands for the default") {
  R r = parse(completion_of(
      R"("temperature": null, "stop": null, "n": null, "max_tokens": null, "logit_bias": null,
         "seed": null, "logprobs": null, "echo": null, "suffix": null, "stream": null)"));
  CHECK(r.params.temperature == 1);
  CHECK(r.params.max_tokens == 16);
  CHECK(r.text.stop.empty());
}

TEST_CASE("completion: sampling fields") {
  check_accepted({
      {R"("model": "other")", [](const R& r) { return r.model == "other"; }},
      {R"("n": 1024)", [](const R& r) { return r.params.n == 1024; }},
      {R"("n": 3, "best_of": 3)", [](const R& r) { return r.num_choices() == 3; }},
      {R"("temperature": 0)", [](const R& r) { return r.params.temperature == 0; }},
      {R"("temperature": 1e2)", [](const R& r) { return r.params.temperature == 100; }},
      {R"("top_p": 0)", [](const R& r) { return r.params.top_p == 1 && r.params.top_k == 1; }},
      {R"("n": 3.0, "top_k": 8.0, "seed": 5e0)",
       [](const R& r) { return r.params.n == 3 && r.params.top_k == 8 && r.params.seed == 5; }},
      {R"("top_p": 0.25)", [](const R& r) { return r.params.top_p == 0.25f; }},
      {R"("top_k": 40)", [](const R& r) { return r.params.top_k == 40; }},
      {R"("min_p": 0.5)", [](const R& r) { return r.params.min_p == 0.5f; }},
      {R"("repetition_penalty": 1.5)",
       [](const R& r) { return r.params.repetition_penalty == 1.5f; }},
      {R"("presence_penalty": -2)", [](const R& r) { return r.params.presence_penalty == -2; }},
      {R"("frequency_penalty": 2)", [](const R& r) { return r.params.frequency_penalty == 2; }},
      {R"("seed": -1)", [](const R& r) { return r.params.seed == UINT64_MAX; }},
      {R"("priority": -3)", [](const R& r) { return r.priority == -3; }},
      {R"("ignore_eos": true)", [](const R& r) { return r.params.ignore_eos; }},
      {R"("skip_special_tokens": false)", [](const R& r) { return !r.text.skip_special_tokens; }},
      {R"("stop": "x", "include_stop_str_in_output": true)",
       [](const R& r) { return r.text.include_stop_str_in_output; }},
      {R"("return_token_ids": true)", [](const R& r) { return r.return_token_ids; }},
      {R"("logit_bias": {"5": -100, "6": 0.5})",
       [](const R& r) {
         return r.params.logit_bias ==
                std::vector<std::pair<int32_t, float>>{{5, -100.0f}, {6, 0.5f}};
       }},
      {R"("user": "u", "metadata": {"a": 1}, "store": true, "service_tier": "auto")",
       [](const R&) { return true; }},
      {R"("response_format": {"type": "text"})", [](const R&) { return true; }},
      {R"("stream": false)", [](const R&) { return true; }},
  });
  check_refused({
      {R"("model": 5)", "model: 5 is not a string"},
      {R"("n": 0)", "n: 0 is not a whole number from 1 to 1024"},
      {R"("n": 1025)", "n: 1025 is not a whole number from 1 to 1024"},
      {R"("n": 1.5)", "n: 1.5 is not a whole number from 1 to 1024"},
      {R"("n": "1")", "n: \"1\" is not a whole number"},
      {R"("n": 2, "best_of": 3)", "best_of: only the value of n is supported"},
      {R"("temperature": -0.1)", "temperature: -0.1 is outside 0 to 100"},
      {R"("temperature": "hot")", "temperature: \"hot\" is not a number"},
      {R"("top_p": 1.01)", "top_p: 1.01 is outside 0 to 1"},
      {R"("top_k": -2)", "top_k: -2 is not a whole number from -1 to 2147483647"},
      {R"("min_p": 2)", "min_p: 2 is outside 0 to 1"},
      {R"("repetition_penalty": 0)", "repetition_penalty: 0 is outside 0.01 to 100"},
      {R"("presence_penalty": 3)", "presence_penalty: 3 is outside -2 to 2"},
      {R"("frequency_penalty": -3)", "frequency_penalty: -3 is outside -2 to 2"},
      {R"("priority": 3000000000)",
       "priority: 3000000000 is not a whole number from -2147483648 to 2147483647"},
      {R"("ignore_eos": 1)", "ignore_eos: 1 is neither true nor false"},
      {R"("logit_bias": [1])", "logit_bias: must map at most 1024 token ids to numbers"},
      {R"("logit_bias": {"x": 1})", "logit_bias: x is not a token id"},
      {R"("logit_bias": {"8192": 1})", "logit_bias: 8192 is not a token id"},
      {R"("logit_bias": {"5": 101})", "logit_bias: 101 is outside -100 to 100"},
      {R"("logit_bias": {"5": "1"})", "logit_bias: \"1\" is not a number"},
      {R"("response_format": {"type": "json_object"})",
       "response_format: only type text is supported"},
      {R"("suffix": "x")", "suffix: is not supported"},
      {R"("temprature": 1)", "unknown field temprature; did you mean temperature?"},
      {R"("messages": [])", "unknown field messages"},
  });
}

TEST_CASE("completion: a body's own seed, or else the one from outside") {
  CHECK(parse(completion_of(R"("seed": 42)"), make_context(), 7).params.seed == 42);
  CHECK(parse(completion_of(""), make_context(), 7).params.seed == 7);
}

TEST_CASE("completion: stops") {
  check_accepted({
      {R"("stop": "end")",
       [](const R& r) { return r.text.stop == std::vector<std::string>{"end"}; }},
      {R"("stop": ["a", "b"])", [](const R& r) { return r.text.stop.size() == 2; }},
      {R"("stop": ["a", "b<|im_end|>"])",
       [](const R& r) { return r.text.special_stops == std::vector<std::string>{"b<|im_end|>"}; }},
      {R"("stop": [])", [](const R& r) { return r.text.stop.empty(); }},
      {R"("stop_token_ids": [5, 6])",
       [](const R& r) {
         return r.params.stop_token_ids == std::vector<int32_t>{5, 6};
       }},
  });
  std::string many = "[\"a\"";
  for (int i = 0; i < 64; ++i) many += ", \"a\"";
  check_refused({
      {R"("stop": "")", "stop: must be a non-empty string, or a list of them"},
      {R"("stop": [""])", "stop: must be a non-empty string, or a list of them"},
      {R"("stop": 5)", "stop: must be a non-empty string, or a list of them"},
      {R"("stop": )" + many + "]", "stop: 65 strings, at most 64 are taken"},
      {R"("stop_token_ids": 5)", "stop_token_ids: must be a list of at most 64 token ids"},
      {R"("stop_token_ids": [9000])",
       "stop_token_ids: token id 9000 is outside the vocabulary of 8192"},
  });
}

TEST_CASE("completion: logprobs, and echo of the prompt's") {
  check_accepted({
      {R"("logprobs": 0)", [](const R& r) { return r.params.logprobs == 0; }},
      {R"("logprobs": 20)", [](const R& r) { return r.params.logprobs == 20 && !r.echo; }},
      {R"("echo": true)", [](const R& r) { return r.echo && r.params.prompt_logprobs == -1; }},
      {R"("echo": true, "logprobs": 5)", [](const R& r) { return r.params.prompt_logprobs == 5; }},
  });
  check_refused({
      {R"("logprobs": 21)", "logprobs: 21 is not a whole number from 0 to 20"},
      {R"("logprobs": true)", "logprobs: true is not a whole number"},
      {R"("top_logprobs": 5)", "unknown field top_logprobs; did you mean logprobs?"},
  });
  check_accepted({{R"("logprobs": true)", [](const R& r) { return r.params.logprobs == 0; }},
                  {R"("logprobs": true, "top_logprobs": 20)",
                   [](const R& r) { return r.params.logprobs == 20; }},
                  {R"("top_logprobs": 0)", [](const R& r) { return r.params.logprobs == -1; }},
                  {R"("logprobs": false)", [](const R& r) { return r.params.logprobs == -1; }}},
                 true);
  check_refused({{R"("top_logprobs": 5)", "top_logprobs: needs logprobs: true"},
                 {R"("logprobs": 5)", "logprobs: 5 is neither true nor false"},
                 {R"("logprobs": true, "top_logprobs": 21)",
                  "top_logprobs: 21 is not a whole number from 0 to 20"},
                 {R"("echo": true)", "unknown field echo"}},
                true);
}

TEST_CASE("completion: lengths") {
  check_accepted({
      {R"("max_tokens": 1)", [](const R& r) { return r.params.max_tokens == 1 && !r.drop_output; }},
      {R"("max_tokens": 100000)",
       [](const R& r) {
         return r.params.max_tokens == 4096 - static_cast<int32_t>(r.prompts[0].size());
       }},
      {R"("max_completion_tokens": 7)", [](const R& r) { return r.params.max_tokens == 7; }},
      {R"("max_tokens": 0)", [](const R& r) { return r.drop_output && r.params.max_tokens == 1; }},
      {R"("max_tokens": 9, "min_tokens": 9)", [](const R& r) { return r.params.min_tokens == 9; }},
  });
  check_refused({
      {R"("max_tokens": -1)", "max_tokens: -1 is not a whole number from 0 to 2147483647"},
      {R"("min_tokens": -1)", "min_tokens: -1 is not a whole number from 0 to 2147483647"},
      {R"("max_tokens": 4, "min_tokens": 5)", "min_tokens: 5 exceeds max_tokens"},
  });
  // Chat goes on as long as the model can.
  CHECK(parse(chat_of("")).params.max_tokens ==
        4096 - static_cast<int32_t>(parse(chat_of("")).prompts[0].size()));
}

TEST_CASE("completion: limits of the model and of the configuration") {
  CompletionContext context = make_context();
  context.max_length = 10;
  context.max_input_length = 8;
  context.max_output_length = 3;
  auto of = [&](int n, const std::string& fields) {
    std::string ids = "[5";
    for (int i = 1; i < n; ++i) ids += ", 5";
    return completion_of(fields, ids + "]");
  };
  CHECK(parse(of(8, R"("max_tokens": 9)"), context).params.max_tokens == 2);
  CHECK(parse(of(2, R"("max_tokens": 9)"), context).params.max_tokens == 3);
  CHECK(
      refusal(of(9, ""), context) ==
      "prompt: 9 tokens, at most 8 fit (scheduler.max_input_length and the model's 10 positions)");
  context.max_input_length = 10;
  CHECK(refusal(of(10, ""), context) ==
        "prompt: 10 tokens leave no room for an answer in the model's 10 positions");
  R r = parse(of(10, R"("max_tokens": 0, "echo": true, "logprobs": 1)"), context);
  CHECK(r.drop_output);  // scoring a prompt needs no room behind it
  CHECK(r.params.max_tokens == 1);
  // Each of several prompts has its own room.
  using Lengths = std::vector<int32_t>;
  auto list = [&](const std::string& fields) {
    return parse(completion_of(fields, "[[1,2,3,4,5,6,7,8,9], [1], [1,2,3,4,5,6,7,8]]"), context);
  };
  CHECK(list(R"("max_tokens": 9)").max_tokens == Lengths{1, 3, 2});
  CHECK(list("").max_tokens == Lengths{1, 3, 2});
  r = list(R"("max_tokens": 2, "min_tokens": 2)");
  CHECK(r.max_tokens == Lengths{1, 2, 2});
  CHECK(r.params_of(0).max_tokens == 1);
  CHECK(r.params_of(0).min_tokens == 1);
  CHECK(r.params_of(1).max_tokens == 2);
  CHECK(r.params_of(1).min_tokens == 2);
}

TEST_CASE("completion: a model without a tokenizer takes and gives token ids") {
  CompletionContext context = make_context();
  context.tokenizer = nullptr;
  context.chat_template = nullptr;
  context.no_chat_reason = "messages: no template here";
  CHECK(parse(completion_of("", "[1, 2]"), context).return_token_ids);
  CHECK(refusal(completion_of("", "\"text\""), context) ==
        "prompt: this model has no tokenizer; give a list of token ids");
  CHECK(refusal(completion_of(R"("stop": "x")", "[1]"), context) ==
        "stop: this model has no tokenizer; use stop_token_ids");
  CHECK(refusal(chat_of(""), context) == "messages: no template here");
}

TEST_CASE("chat: messages become the template's text") {
  auto prompt = [](const std::string& messages) {
    return parse(chat_of("", messages)).prompts.at(0);
  };
  CHECK(parse(chat_of("")).endpoint == Endpoint::kChatCompletions);
  CHECK(prompt(R"([{"role": "user", "content": "Hi"}])") ==
        encode("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"));
  CHECK(prompt(R"([{"role": "developer", "content": "S"}, {"role": "user", "content": [
                   {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])") ==
        encode("<|im_start|>developer\nS<|im_end|>\n<|im_start|>user\nab<|im_end|>\n"
               "<|im_start|>assistant\n"));
  auto error = [](const std::string& messages) { return refusal(chat_of("", messages)); };
  const char* kEmpty = "messages: must be a list of at least one message";
  CHECK(error("[]") == kEmpty);
  CHECK(error("null") == kEmpty);
  CHECK(error("\"Hi\"") == kEmpty);
  CHECK(error("[\"Hi\"]") == "messages: a message needs a role");
  CHECK(error(R"([{"content": "Hi"}])") == "messages: a message needs a role");
  CHECK(error(R"([{"role": "robot", "content": "Hi"}])") ==
        "messages: unknown role robot; use system, user, assistant or tool");
  CHECK(error(R"([{"role": "user", "content": 5}])") ==
        "messages: content must be a string or a list of text parts");
  CHECK(error(R"([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}])") ==
        "messages: only parts of type text are supported");
  CHECK(refusal(chat_of(R"("functions": [])")) == "functions: is not supported; use tools");
  CHECK(refusal(chat_of(R"("prompt": "x")")) == "unknown field prompt");
}

TEST_CASE("chat: tools") {
  CompletionContext context = make_context();
  std::string tools = R"("tools": [{"type": "function", "function": {"name": "f"}}])";
  CHECK(refusal(chat_of(tools), context) ==
        "tools: this model's chat template has no place for tools");
  CHECK(refusal(chat_of(R"("tools": [])"), context) == "");
  context.chat_template = &tools_template();
  R r = parse(chat_of(tools + R"(, "tool_choice": "auto")"), context);
  std::string text = tiny_docs().decode(r.prompts[0], false);
  CHECK(text.find(R"({"type": "function", "function": {"name": "f"}})") != std::string::npos);
  for (const char* none : {R"(, "tool_choice": "none")", R"(, "function_call": "none")"})
    CHECK(parse(chat_of(tools + none), context).prompts == parse(chat_of(""), context).prompts);
  CHECK(refusal(chat_of(tools + R"(, "tool_choice": "required")"), context) ==
        "tool_choice: \"required\" is not supported; use auto or none");
  CHECK(refusal(chat_of(tools + R"(, "tool_choice": {"type": "function"})"), context) ==
        "tool_choice: {\"type\": \"function\"} is not supported; use auto or none");
  // A call's arguments come as a string of JSON and go into the template as what they are.
  std::string call = R"([{"role": "user", "content": "u"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
     "function": {"name": "f", "arguments": "{\"a\": [1, 2]}"}}]},
    {"role": "tool", "content": "result"}])";
  text = tiny_docs().decode(parse(chat_of("", call), context).prompts[0], false);
  CHECK(text.find(R"({"name": "f", "arguments": {"a": [1, 2]}})") != std::string::npos);
  CHECK(text.find("result") != std::string::npos);
  auto error = [&](const std::string& calls) {
    return refusal(chat_of("", R"([{"role": "assistant", "tool_calls": )" + calls + "}]"), context);
  };
  CHECK(error("5") == "messages: tool_calls must be a list");
  CHECK(error("[5]") == "messages: a tool call must be an object");
  CHECK(error(R"([{"function": {"name": "f", "arguments": "{"}}])")
            .starts_with("messages: a tool call's arguments"));
}
