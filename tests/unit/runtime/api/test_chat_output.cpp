#include "runtime/api/chat_output.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <chrono>

using namespace ll;

namespace {

// The pieces of a text that comes in parts of `step` bytes, equal ones put together:
// "r:reasoning|c:content|f0:name|a0:arguments".
std::string read(const std::string& text, ChatMarkup markup, size_t step) {
  ChatOutput output(markup);
  std::vector<ChatPiece> pieces;
  auto add = [&](std::vector<ChatPiece> more) {
    for (ChatPiece& p : more) {
      bool goes_on = !pieces.empty() && pieces.back().kind == p.kind &&
                     p.kind != ChatPiece::Kind::kCall && pieces.back().call == p.call;
      if (goes_on)
        pieces.back().text += p.text;
      else
        pieces.push_back(std::move(p));
    }
  };
  for (size_t at = 0; at < text.size(); at += step) add(output.push(text.substr(at, step)));
  add(output.finish());
  std::string all;
  for (const ChatPiece& p : pieces) {
    const char* names[] = {"r", "c", "f", "a"};
    bool is_of_call = p.kind == ChatPiece::Kind::kCall || p.kind == ChatPiece::Kind::kArguments;
    all += fmt::format("{}{}{}:{}", all.empty() ? "" : "|", names[static_cast<int>(p.kind)],
                       is_of_call ? std::to_string(p.call) : "", p.text);
  }
  return all;
}

void check(const std::string& text, const std::string& wanted, ChatMarkup markup) {
  for (size_t step : {1, 2, 3, 7, 1000}) {
    CAPTURE(text);
    CAPTURE(step);
    CHECK(read(text, markup, step) == wanted);
  }
}

constexpr ChatMarkup kCalls{.has_calls = true}, kThinks{.has_reasoning = true, .has_calls = true},
    kThinking{.begins_in_reasoning = true};

}  // namespace

TEST_CASE("chat output: text without markup is content") {
  for (ChatMarkup markup : {ChatMarkup{}, kCalls, kThinks})
    for (const char* text : {"plain", "a <b> <tool", "1 < 2\n\n", "<thin", "  x  "})
      check(text, fmt::format("c:{}", text), markup);
  check("<tool_call>{}</tool_call>", "c:<tool_call>{}</tool_call>", {});
  check("", "", kThinks);
}

TEST_CASE("chat output: calls of tools") {
  check("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1, \"b\": \"}\\\"\"}}\n</tool_call>",
        "f0:f|a0:{\"a\": 1, \"b\": \"}\\\"\"}", kCalls);
  check(
      "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n"
      "<tool_call>{\"name\":\"g\",\"arguments\":{\"x\":[1,2]}}</tool_call>",
      "c:Let me see.|f0:f|a0:{}|f1:g|a1:{\"x\":[1,2]}", kCalls);
  check("<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>", "f0:f|a0:{\"a\": 1}",
        kCalls);
  check("<tool_call>{\"name\": \"f\"}</tool_call>", "f0:f", kCalls);
  check("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>\"}}</tool_call>",
        "f0:f|a0:{\"a\": \"</tool_call>\"}", {.has_calls = true});
}

TEST_CASE("chat output: a call that ends early keeps what is there; one that is none is content") {
  check("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}", "f0:f|a0:{\"a\": 1}", kCalls);
  check("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"xy", "f0:f|a0:{\"a\": \"xy", kCalls);
  check("<tool_call>nothing</tool_call> more", "c:<tool_call>nothing</tool_call> more", kCalls);
  check("<tool_call>{\"nam", "c:<tool_call>{\"nam", kCalls);
}

TEST_CASE("chat output: reasoning") {
  check("<think>\nWhy? Because.\n</think>\n\nYes.", "r:Why? Because.|c:Yes.", kThinks);
  check("Why? Because.</think>Yes.", "r:Why? Because.|c:Yes.", kThinking);
  check("never ends", "r:never ends", kThinking);
  check("<think></think>Yes. <think>no</think>", "c:Yes. <think>no</think>", kThinks);
  check("<think>a < b </ c</think>\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
        "r:a < b </ c|f0:f|a0:{}", kThinks);
}

TEST_CASE("chat output: the time of an answer grows as its length") {
  constexpr int kPieces = 100'000;
  auto start = std::chrono::steady_clock::now();
  for (const char* piece : {"word", "    "}) {
    ChatOutput call(kCalls), content(kThinks), reasoning(kThinking);
    call.push("<tool_call>{\"name\": \"f\", \"arguments\": {\"text\": \"");
    size_t num_bytes = 0;
    for (int i = 0; i < kPieces; ++i) {
      for (const ChatPiece& p : call.push(piece)) num_bytes += p.text.size();
      content.push(piece);
      reasoning.push(piece);
    }
    CHECK(num_bytes == 4 * kPieces);
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
