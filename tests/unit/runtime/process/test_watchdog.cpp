// What ends a process is watched from outside: each example runs in a process of its own, all at
// the same time.
#include "runtime/process/watchdog.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
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

// Another process stops this one for `time`, as a scheduler that suspends a job does.
void be_suspended(std::chrono::milliseconds time) {
  pid_t self = getpid(), other = fork();
  if (other == 0) {
    kill(self, SIGSTOP);
    std::this_thread::sleep_for(time);
    kill(self, SIGCONT);
    _exit(0);
  }
  waitpid(other, nullptr, 0);
}

// The examples; each ends with 42 if the watchdog lets it.
void run_example(const std::string& name) {
  Watchdog dog(std::chrono::seconds(name == "off" ? 0 : 1), "rank 3 on node7");
  auto time = 2500ms;
  if (name == "step" || name == "off") dog.begin_step(17);
  if (name == "idle") dog.rest();
  if (name == "phase") dog.begin_phase("while loading weights");
  if (name == "step" || name == "idle" || name == "phase") time = 30s;
  if (name == "paused") dog.pause();
  if (name == "others") dog.await_others("while other ranks load");
  if (name == "resumed") {
    dog.begin_step(1);
    dog.pause();
  }
  if (name == "suspended") {
    dog.begin_step(17);
    be_suspended(2500ms);
    time = 700ms;
  }
  if (name == "progress")
    for (int i = 0; i < 8; ++i) {
      i % 2 ? dog.begin_step(i) : dog.rest();
      std::this_thread::sleep_for(300ms);
    }
  else if (name == "beats")
    for (dog.begin_phase("while loading weights"); time > 0ms; time -= 300ms) {
      dog.beat();
      std::this_thread::sleep_for(300ms);
    }
  else
    std::this_thread::sleep_for(time);
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
  Child step("step"), idle("idle"), phase("phase"), paused("paused"), others("others"), off("off"),
      resumed("resumed"), suspended("suspended"), progress("progress"), beats("beats");
  auto [step_text, step_code] = step.wait();
  CHECK(step_code == 1);
  CHECK(contains(step_text, "rank 3 on node7: no progress for 1 s in step 17"));
  CHECK(contains(step_text, "step_timeout_s"));
  auto [idle_text, idle_code] = idle.wait();
  CHECK(idle_code == 1);
  CHECK(contains(idle_text, "waiting for rank 0's next plan"));
  auto [phase_text, phase_code] = phase.wait();
  CHECK(phase_code == 1);
  CHECK(contains(phase_text, "no progress for 1 s while loading weights; "));
  for (Child* alive : {&paused, &others, &off, &resumed, &suspended, &progress, &beats}) {
    auto [text, code] = alive->wait();
    CHECK(code == 42);
    CHECK(text.empty());
  }
  CHECK(std::chrono::steady_clock::now() - start < 20s);
}

TEST_CASE("watchdog: it knows what the process is doing") {
  Watchdog dog(300s, "rank 0");
  CHECK(dog.where() == "while starting");
  dog.begin_step(17);
  CHECK(dog.where() == "in step 17");
  dog.beat();
  CHECK(dog.where() == "in step 17");
  dog.begin_phase("while loading weights");
  CHECK(dog.where() == "while loading weights");
  dog.rest();
  CHECK(dog.where() == "while waiting for rank 0's next plan");
}

TEST_CASE("watchdog: it goes without delay") {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    Watchdog dog(300s, "rank 0");
    dog.begin_step(i);
  }
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}
