// What a batch writes: every field a user may ask for, and every line that cannot be run.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <fstream>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

const Json kGreedy = {{"temperature", 0}, {"max_tokens", 20}};

Json with(Json fields, const Json& more) {
  fields.update(more);
  return fields;
}

}  // namespace

TEST_CASE("stop strings end a text wherever token borders fall") {
  // Greedily: " is not aware of the fact that the kernel is not ..."
  const char* prompt = "The kernel";
  Answers a = answer(
      {.np = 2},
      {completion("none", prompt, kGreedy),
       completion("inside", prompt, with(kGreedy, {{"stop", "ware of"}})),
       completion("kept", prompt,
                  with(kGreedy, {{"stop", {"ware of"}}, {"include_stop_str_in_output", true}})),
       completion("earliest", prompt, with(kGreedy, {{"stop", {"kernel", " the f", "the"}}})),
       completion("first", prompt, with(kGreedy, {{"stop", " is"}})),
       completion("absent", prompt, with(kGreedy, {{"stop", {"no such text"}}})),
       completion("late", prompt, with(kGreedy, {{"stop", " not"}, {"min_tokens", 6}})),
       completion("id", prompt, with(kGreedy, {{"stop_token_ids", {5}}}))});
  CHECK(a.text("none").starts_with(" is not aware of the fact that"));
  CHECK(a.choice("none")["finish_reason"] == "length");
  CHECK(a.text("inside") == " is not a");
  CHECK(a.choice("inside")["finish_reason"] == "stop");
  CHECK(a.text("kept") == " is not aware of");
  CHECK(a.text("earliest") == " is not aware of ");
  CHECK(a.text("first") == "");
  CHECK(a.text("absent") == a.text("none"));
  CHECK(a.text("late").starts_with(" is not aware of the"));
  CHECK(a.choice("id")["finish_reason"] == "length");
}

TEST_CASE("echo and log-probabilities of prompt and answer are transformers'") {
  Json golden =
      Json::parse(std::ifstream(model_folder("tiny-qwen2-docs") + "/golden.json"))["prompts"];
  std::vector<Json> requests;
  for (size_t i = 0; i < 12; ++i) {
    Json ids = golden[i]["input_ids"];
    for (size_t k = 0; k < 40; ++k) ids.push_back(golden[i]["greedy"][k]);
    requests.push_back(completion(fmt::format("{}", i), ids,
                                  {{"echo", true},
                                   {"logprobs", 1},
                                   {"max_tokens", i % 2},
                                   {"temperature", 0},
                                   {"skip_special_tokens", false}}));
  }
  Answers answers =
      answer({.np = 2, .sets = {"scheduler.max_num_batched_tokens=64", "scheduler.max_num_seqs=8"}},
             requests);
  for (size_t i = 0; i < 12; ++i) {
    CAPTURE(i);
    const Json& choice = answers.choice(fmt::format("{}", i));
    const Json &lists = choice["logprobs"], &logprobs = lists["token_logprobs"];
    size_t prompt = golden[i]["input_ids"].size();
    REQUIRE(logprobs.size() == prompt + 40 + i % 2);
    CHECK(logprobs[0].is_null());
    CHECK(choice["finish_reason"] == "length");
    std::string joined;
    for (const Json& token : lists["tokens"]) joined += token.get<std::string>();
    // One of the tenth's characters is several tokens.
    if (i != 9) CHECK(joined == choice["text"].get<std::string>());
    for (size_t k = 0; k < 40; ++k) {
      double found = logprobs[prompt + k], wanted = golden[i]["logprob"][k];
      CHECK(std::abs(found - wanted) < 1e-3);
      for (const auto& [text, logprob] : lists["top_logprobs"][prompt + k].items())
        CHECK(logprob.get<double>() <= found + 1e-3);  // greedy tokens are the best
    }
  }
}

TEST_CASE("n answers, several prompts in a request, max_tokens 0, chat") {
  Json sampled = {{"temperature", 0.9}, {"max_tokens", 12}, {"seed", 7}, {"n", 3}};
  Answers a = answer(
      {.np = 2},
      {completion("n", "The kernel", sampled), completion("again", "The kernel", sampled),
       completion("two", {"The kernel", "Git is a"}, with(kGreedy, {{"n", 2}})),
       completion("ids", {{2, 3, 4}, {5, 6}}, with(kGreedy, {{"return_token_ids", true}})),
       completion("zero", "The kernel", {{"max_tokens", 0}}),
       completion("zero echo", "The kernel", {{"max_tokens", 0}, {"echo", true}, {"logprobs", 0}}),
       chat("chat", "What is a mutex?", with(kGreedy, {{"logprobs", true}, {"top_logprobs", 2}})),
       completion("chat by hand",
                  "<|im_start|>user\nWhat is a mutex?<|im_end|>\n<|im_start|>assistant\n", kGreedy),
       completion("wait", "Git is a", with(kGreedy, {{"ignore_eos", true}}))});
  REQUIRE(a.by_id["n"]["choices"].size() == 3);
  CHECK(a.by_id["n"]["choices"] == a.by_id["again"]["choices"]);
  CHECK(a.text("n", 0) != a.text("n", 1));
  CHECK(a.by_id["n"]["usage"]["completion_tokens"] == 36);
  CHECK(a.by_id["n"]["usage"]["prompt_tokens"] == 2);

  REQUIRE(a.by_id["two"]["choices"].size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(a.choice("two", i)["index"] == i);
  CHECK(a.text("two", 0) == a.text("two", 1));
  CHECK(a.text("two", 2) == a.text("wait"));
  CHECK(a.choice("ids", 1)["prompt_token_ids"] == Json({5, 6}));
  CHECK(a.choice("ids", 1)["token_ids"].size() == 20);

  CHECK(a.text("zero") == "");
  CHECK(a.by_id["zero"]["usage"]["completion_tokens"] == 0);
  CHECK(a.text("zero echo") == "The kernel");
  CHECK(a.choice("zero echo")["logprobs"]["token_logprobs"].size() == 2);

  const Json& message = a.choice("chat")["message"];
  CHECK(message["role"] == "assistant");
  CHECK(message["content"] == a.text("chat by hand"));
  CHECK(a.choice("chat")["logprobs"]["content"].size() == 20);
  CHECK(a.choice("chat")["logprobs"]["content"][0]["top_logprobs"].size() == 2);
}

TEST_CASE("lengths that nobody asked for are clipped to what fits, for each prompt on its own") {
  Json ignoring = {{"ignore_eos", true}, {"return_token_ids", true}};
  std::vector<Json> one = {chat("chat", "Hi", with(ignoring, {{"temperature", 0}}))};
  Answers small = answer({.sets = {"kv_cache.memory_bytes=1MB"}}, one);
  Json usage = small.by_id["chat"]["usage"];
  CHECK(small.choice("chat")["finish_reason"] == "length");
  // All pages, and a last token that needs no place in one.
  CHECK((usage["total_tokens"].get<int>() - 1) % 64 == 0);
  CHECK(usage["completion_tokens"].get<int>() > 64);

  Json long_prompt = std::vector<int>(4090, 5);
  std::vector<Json> two = {
      completion("list", Json{long_prompt, {411, 727}}, with(ignoring, {{"max_tokens", 100}}))};
  Answers a = answer({}, two);
  CHECK(a.choice("list", 0)["token_ids"].size() == 6);
  CHECK(a.choice("list", 1)["token_ids"].size() == 100);
}

TEST_CASE("lines that cannot be run become error records, in the middle of others") {
  std::string good = completion("good", "The kernel", kGreedy).dump();
  auto line = [](const std::string& id, const Json& body) {
    return Json{{"custom_id", id}, {"url", "/v1/completions"}, {"body", body}}.dump() + "\n";
  };
  Json many = Json::array();
  for (int i = 0; i < 4100; ++i) many.push_back(1);
  std::string text = good + "\n" +                       // 1
                     "\n" +                              // 2: skipped
                     "not JSON\n" +                      // 3
                     "{\"custom_id\": \"x\xff\"}\n" +    // 4: not UTF-8
                     line("long", {{"prompt", many}}) +  // 5
                     line("typo", {{"prompt", "x"}, {"max_token", 3}}) +
                     line("range", {{"prompt", "x"}, {"temperature", -1}}) +
                     line("type", {{"prompt", "x"}, {"max_tokens", "3"}}) +
                     line("vocabulary", {{"prompt", {8192}}}) + line("empty", {{"prompt", ""}}) +
                     line("none", Json::object()) +
                     R"({"custom_id": "url", "url": "/v1/embeddings", "body": {}})" + "\n" +
                     R"({"url": "/v1/completions", "body": {"prompt": "x"}})" + "\n" +
                     line("huge", {{"prompt", std::string(10'000'000, 'x')}}) +
                     line("too long", {{"prompt", std::string(21'000'000, 'x')}}) +
                     completion("last", "The kernel", kGreedy).dump();  // without a line end
  Answers a = answer({.np = 2, .sets = {"job.max_line_bytes=20000000"}}, text);
  CHECK(a.by_id.size() == 2);
  CHECK(a.by_id["good"]["choices"] == a.by_id["last"]["choices"]);
  std::map<std::string, std::vector<std::string>> wanted = {
      {"line 3", {"line 3: ", "JSON"}},
      {"line 4", {"line 4: ", "byte 17"}},
      {"long", {"line 5: prompt: 4100 tokens, at most 4096"}},
      {"typo", {"unknown field max_token; did you mean max_tokens?"}},
      {"range", {"temperature: -1 is outside 0 to 100"}},
      {"type", {"max_tokens: "}},
      {"vocabulary", {"token id 8192 is outside the vocabulary of 8192"}},
      {"empty", {"prompt: has no tokens"}},
      {"none", {"prompt: is missing"}},
      {"url", {"url: must be /v1/completions or /v1/chat/completions"}},
      {"line 13", {"custom_id: is missing"}},
      {"huge", {"prompt: ", "at most 4096"}},
      {"line 15", {"longer than job.max_line_bytes"}}};
  CHECK(a.errors.size() == wanted.size());
  for (const auto& [id, parts] : wanted) {
    CAPTURE(id);
    CAPTURE(a.errors[id].substr(0, 200));
    CHECK(a.errors[id].size() < 300);
    CHECK(lines_of(a.errors[id]).size() == 1);
    for (const std::string& part : parts) CHECK(a.errors[id].find(part) != std::string::npos);
  }
  CHECK(a.outcome.err.find("13 errors") != std::string::npos);
}

TEST_CASE("standard input and output, and SOURCE_DATE_EPOCH") {
  std::string text =
      jsonl({completion("a", "The kernel", kGreedy), completion("b", "Git is a", kGreedy)});
  auto command = batch_command({.np = 2}, "-", "-");
  Process::Options options{.input = text, .env = {{"SOURCE_DATE_EPOCH", "1700000000"}}};
  Outcome first = run(command, options), second = run(command, options);
  INFO(first.err);
  CHECK(first.exit_code == 0);
  CHECK(first.out == second.out);
  REQUIRE(lines_of(first.out).size() == 2);
  for (const std::string& line : lines_of(first.out))
    CHECK(Json::parse(line)["response"]["body"]["created"] == 1700000000);

  TempFolder folder;
  std::string input = folder.write("in", text), output = folder.path("out");
  CHECK(run(batch_command({.np = 1}, input, output), options).exit_code == 0);
  CHECK(lines_of(read_file(output)).size() == 2);
}

TEST_CASE("no requests give no answers") {
  CHECK(answer({.np = 2}, std::string()).lines.empty());
  CHECK(answer({.np = 1}, std::string("\n\r\n")).lines.empty());
}
