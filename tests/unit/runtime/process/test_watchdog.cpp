// What ends a process is watched from outside: each example runs in a process of its own, all at
// the same time.
#include "runtime/process/watchdog.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;

namespace {

// The examples; each ends with 42 if the watchdog lets it.
void run_example(const std::string& name) {
  Watchdog dog(std::chrono::seconds(name == "off" ? 0 : 1), "rank 3 on node7");
  if (name == "step") dog.begin_step(17);
  if (name == "idle") dog.rest();
  if (name == "paused") dog.pause();
  if (name == "off") dog.begin_step(1);
  if (name == "resumed") {
    dog.begin_step(1);
    dog.pause();
  }
  if (name == "progress")
    for (int i = 0; i < 8; ++i) {
      i % 2 ? dog.begin_step(i) : dog.rest();
      std::this_thread::sleep_for(300ms);
    }
  else
    std::this_thread::sleep_for(name == "step" || name == "idle" ? 30s : 2500ms);
}

class Child {
 public:
  explicit Child(const std::string& example) {
    std::string self = std::filesystem::read_symlink("/proc/self/exe");
    std::string command = "LITELANG_TEST_EXAMPLE=" + example + " '" + self +
                          "' -tc='watchdog: one example' --no-skip 2>&1 >/dev/null";
    pipe_ = ::popen(command.c_str(), "r");
  }
  // Its standard error and exit code.
  std::pair<std::string, int> wait() {
    std::string text;
    for (int c; (c = std::fgetc(pipe_)) != EOF;) text += static_cast<char>(c);
    int status = ::pclose(pipe_);
    return {text, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
  }

 private:
  FILE* pipe_;
};

}  // namespace

TEST_CASE("watchdog: one example" * doctest::skip()) {
  const char* example = std::getenv("LITELANG_TEST_EXAMPLE");
  if (!example) return;
  run_example(example);
  std::_Exit(42);
}

TEST_CASE("watchdog: what takes too long ends the process, with its rank and step") {
  auto start = std::chrono::steady_clock::now();
  Child step("step"), idle("idle"), paused("paused"), off("off"), resumed("resumed"),
      progress("progress");
  auto [step_text, step_code] = step.wait();
  CHECK(step_code == 1);
  CHECK(contains(step_text, "rank 3 on node7: no progress for 1 s in step 17"));
  CHECK(contains(step_text, "step_timeout_s"));
  auto [idle_text, idle_code] = idle.wait();
  CHECK(idle_code == 1);
  CHECK(contains(idle_text, "waiting for rank 0's next plan"));
  for (Child* alive : {&paused, &off, &resumed, &progress}) {
    auto [text, code] = alive->wait();
    CHECK(code == 42);
    CHECK(text.empty());
  }
  CHECK(std::chrono::steady_clock::now() - start < 20s);
}

TEST_CASE("watchdog: it goes without delay") {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    Watchdog dog(300s, "rank 0");
    dog.begin_step(i);
  }
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}
