// usage: bench_templates tokenizer_config.json
// Speed of its chat template on one thread, the best of a few rounds: one chat of 10,000 messages
// of 200 words, and 10,000 chats of one such message.
#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/check.h"
#include "base/input_file.h"
#include "base/json_fields.h"
#include "model/text/chat_template.h"
#include "perf/best_seconds.h"

namespace {

constexpr int kMessages = 10'000, kWords = 200;

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
  ll::ChatTemplate chat =
      ll::ChatTemplate::from_config(ll::InputFile(path).read_all(UINT64_MAX), path);
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
