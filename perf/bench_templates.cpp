// usage: bench_templates tokenizer_config.json
// Speed of its chat template on one thread, the best of a few rounds: one chat of 10,000 messages
// of 200 words, and 10,000 chats of one such message.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"
#include "base/json_fields.h"
#include "model/text/chat_template.h"

namespace {

constexpr int kRounds = 5, kMessages = 10'000, kWords = 200;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  ll::check(file.good(), "{}: cannot be opened for reading", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

double best_seconds(const auto& work) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  return best;
}

// The body of a chat in which user and assistant take turns.
std::string chat_of(int num_messages) {
  std::string body = R"({"messages": [)";
  for (int i = 0; i < num_messages; ++i) {
    body += fmt::format(R"({}{{"role": "{}", "content": ")", i == 0 ? "" : ", ",
                        i % 2 == 0 ? "user" : "assistant");
    for (int word = 0; word < kWords; ++word)
      body += fmt::format("{}word{}", word == 0 ? "" : " ", (i + word) % 1000);
    body += "\"}";
  }
  return body + "]}";
}

// From the JSON of a body to the text of its prompt; returns its length.
size_t render(const ll::ChatTemplate& chat, const std::string& body) {
  ll::JsonTree json = ll::JsonTree::parse(body, "body");
  ll::JsonFields fields(json);
  return chat.render(ll::read_chat_request(fields)).size();
}

void run(const char* path) {
  ll::ChatTemplate chat = ll::ChatTemplate::from_config(read_file(path), path);
  std::string one = chat_of(1), all = chat_of(kMessages);
  ll::JsonTree json = ll::JsonTree::parse(all, "body");
  ll::JsonFields fields(json);
  ll::ChatRequest request = ll::read_chat_request(fields);
  size_t length = 0;
  double template_alone = best_seconds([&] { length = chat.render(request).size(); });
  double one_chat = best_seconds([&] { length = render(chat, all); });
  double many_chats = best_seconds([&] {
    for (int i = 0; i < kMessages; ++i) render(chat, one);
  });
  fmt::print(
      "{} messages of {} words, {:.1f} MB: one chat {:.3f} s, of which the template {:.3f} s; as "
      "many chats {:.3f} s\n",
      kMessages, kWords, static_cast<double>(length) / 1e6, one_chat, template_alone, many_chats);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) ll::fail_usage("usage: bench_templates tokenizer_config.json");
  run(argv[1]);
} catch (const ll::Error& error) {
  fmt::print(stderr, "bench_templates: {}\n", error.what());
  return static_cast<int>(error.code());
}
