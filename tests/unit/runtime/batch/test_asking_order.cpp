#include "runtime/batch/asking_order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

using namespace ll;
using Order = BatchOptions::Order;
using InputLines = std::vector<LineReader::Line>;
using Places = std::vector<size_t>;

namespace {

LineReader::Line line_of(const std::string& body) {
  return {1, R"({"custom_id": "x", "method": "POST", "body": {)" + body + "}}", false};
}

LineReader::Line prompt_line(const std::string& prompt) {
  return line_of(R"("max_tokens": 4, "prompt": ")" + prompt + "\"");
}

LineReader::Line chat_line(const std::string& system, const std::string& user,
                           const std::string& tools = "") {
  std::string text = R"("messages": [{"role": "system", "content": ")" + system +
                     R"("}, {"role": "user", "content": ")" + user + R"("}])";
  return line_of(tools.empty() ? text : text + R"(, "tools": )" + tools);
}

std::string long_text(char c) { return std::string(100, c); }

}  // namespace

TEST_CASE("asking order: requests that begin alike, groups where their first one stood") {
  std::string b = long_text('b'), a = long_text('a');
  InputLines lines = {prompt_line("zebra"),    prompt_line(b + "2"), prompt_line(a + "y"),
                      prompt_line("antelope"), prompt_line(b + "1"), prompt_line(a + "x"),
                      prompt_line("zebra")};
  CHECK(asking_order(lines, Order::kPrefix) == Places{0, 6, 4, 1, 5, 2, 3});
  CHECK(asking_order(lines, Order::kArrival) == Places{0, 1, 2, 3, 4, 5, 6});
  CHECK(asking_order({}, Order::kPrefix).empty());
}

TEST_CASE("asking order: a tree's leaves, whatever the depth") {
  std::mt19937 random(3);
  std::vector<std::string> keys;
  for (char s : {'p', 'q', 'r'})
    for (char shot : {'1', '2', '3', '4'})
      for (int i = 0; i < 5; ++i)
        keys.push_back(long_text(s) + long_text(shot) + std::to_string(random() % 1000) + " own");
  std::shuffle(keys.begin(), keys.end(), random);
  InputLines lines;
  for (const std::string& key : keys) lines.push_back(prompt_line(key));
  Places order = asking_order(lines, Order::kPrefix);
  CHECK(std::set(order.begin(), order.end()).size() == keys.size());
  for (size_t depth : {100, 200}) {
    std::set<std::string> seen;
    std::string before;
    for (size_t i : order) {
      std::string prefix = keys[i].substr(0, depth);
      if (prefix != before) CHECK(seen.insert(prefix).second);  // nobody comes back to it
      before = prefix;
    }
  }
}

TEST_CASE("asking order: chats by tools and messages") {
  std::string one = long_text('s'), two = long_text('t');
  InputLines lines = {chat_line(one, "b"), chat_line(two, "c"),        chat_line(one, "a", "[1]"),
                      chat_line(one, "a"), chat_line(one, "z", "[1]"), chat_line(two, "b")};
  CHECK(asking_order(lines, Order::kPrefix) == Places{3, 0, 5, 1, 2, 4});
}

TEST_CASE("asking order: longest first, those without a length before") {
  InputLines lines = {line_of(R"("max_tokens": 4)"),  line_of(R"("prompt": "x")"),
                      line_of(R"("max_tokens": 90)"), line_of(R"("max_completion_tokens": 50)"),
                      line_of(R"("max_tokens": 4)"),  line_of(R"("max_tokens": null)")};
  CHECK(asking_order(lines, Order::kLongest) == Places{1, 5, 2, 3, 0, 4});
}

TEST_CASE("asking order: lines that are no requests keep their places") {
  InputLines lines = {prompt_line("b"), {2, "nonsense", false}, {3, "", true}, prompt_line("a")};
  lines[1].text = "nonsense";
  CHECK(asking_order(lines, Order::kPrefix) == Places{0, 1, 2, 3});
}
