#pragma once
// A page in headless Chromium, driven by its debugging protocol.
#include <chrono>
#include <string>
#include <vector>

#include "tests/e2e/batch.h"

namespace ll::test {

class Browser {
 public:
  // The program; empty where there is none.
  static std::string program();

  explicit Browser(const std::string& url);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  // The value of an expression of the page; throws what it throws.
  Json evaluate(const std::string& expression);
  bool becomes(const std::string& condition,
               std::chrono::seconds limit = std::chrono::seconds(10)) {
    return wait_until([&] { return evaluate("!!(" + condition + ")") == true; }, limit);
  }
  // A key of the keyboard, "Enter", with its modifiers (8: Shift).
  void press(const std::string& key, int modifiers = 0);
  // Gives the page a window of this size.
  void resize(int width, int height);

  // Exceptions that nobody caught and violations of the page's own policy so far.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  // Sends a command, returns its result; throws when none comes within 20 seconds.
  Json call(const std::string& method, const Json& params);
  Json next_message();
  void note(const Json& event);

  TempFolder folder_;
  int to_, from_;  // named pipes
  Process process_;
  std::string session_, received_;
  int last_id_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace ll::test
