// litelang tokenize, both ways, against Hugging Face's tokenizers.
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/e2e/batch.h"
#include "tests/support/test_paths.h"

using namespace ll::test;

namespace {

std::vector<std::string> tokenize(const std::string& model, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {program("litelang"), "tokenize", "--model", model});
  return more;
}

std::string tokenizer_folder(const std::string& name) {
  return name == "qwen2.5" ? data_path("tokenizers/qwen2.5") : model_folder(name);
}

Json golden_texts(const std::string& name) {
  return Json::parse(std::ifstream(data_path("tokenizers/golden/" + name + ".json")));
}

void check_bad_line(const std::string& input, const std::vector<std::string>& options,
                    const std::string& part) {
  Outcome o = run(tokenize(model_folder("tiny-qwen2-docs"), options), {.input = input, .env = {}});
  INFO(o.err);
  CAPTURE(part);
  CHECK(o.exit_code == 1);
  CHECK(lines_of(o.out).size() == 1);  // the line before
  CHECK(lines_of(o.err).size() == 1);
  CHECK(o.err.starts_with("litelang: standard input, line 2: "));
  CHECK(o.err.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("ids of the golden texts, and texts of their ids") {
  for (std::string name : {"tiny-qwen2-docs", "qwen2.5"}) {
    CAPTURE(name);
    std::string texts, ids, decoded;
    for (const Json& one : golden_texts(name)) {
      texts += one["text"].dump() + "\n";
      ids += one["ids"].dump() + "\n";
      decoded += one["decoded"].dump() + "\n";
    }
    Outcome there = run(tokenize(tokenizer_folder(name)), {.input = texts, .env = {}});
    CHECK(there.exit_code == 0);
    CHECK(there.out == ids);
    Outcome back = run(tokenize(tokenizer_folder(name) + "/tokenizer.json", {"--decode"}),
                       {.input = ids, .env = {}});
    CHECK(back.exit_code == 0);
    CHECK(back.out == decoded);
  }
}

TEST_CASE("weight files bring their tokenizer; special tokens can be left out") {
  std::string text = "\"<|im_start|>user\\nWhat is a mutex?<|im_end|>\"\n";
  Outcome there = run(tokenize(model_file("tiny-qwen2-docs")), {.input = text, .env = {}});
  CHECK(there.exit_code == 0);
  Outcome back =
      run(tokenize(model_file("tiny-qwen2-docs"), {"--decode"}), {.input = there.out, .env = {}});
  CHECK(back.out == text);
  Outcome plain =
      run(tokenize(model_file("tiny-qwen2-docs"), {"--decode", "--skip-special-tokens"}),
          {.input = there.out, .env = {}});
  CHECK(plain.out == "\"user\\nWhat is a mutex?\"\n");
}

TEST_CASE("bad lines") {
  check_bad_line("\"a\"\nb\n\"c\"\n", {}, "not valid JSON");
  check_bad_line("\"a\"\n[1]\n", {}, "expected a JSON string, not [1]");
  check_bad_line("\"a\"\n\"\xff\"\n", {}, "line 2");
  for (std::string bad : {"7", "[1", "[1,]", "[,1]", "[1 2]", "[1.5]", "[-1]", "[1]]", "[\"1\"]",
                          "[99999999999]", "{}"})
    check_bad_line("[1]\n" + bad + "\n", {"--decode"},
                   "expected a JSON array of token ids, not " + bad);
  Outcome o = run(tokenize("/nowhere"));
  CHECK(o.exit_code == 1);
  CHECK(lines_of(o.err).size() == 1);
  o = run(tokenize(model_file("random-hd64")));
  CHECK(o.exit_code == 1);
  CHECK(o.err.find("has no tokenizer") != std::string::npos);
  CHECK(run({program("litelang"), "tokenize"}).exit_code == 2);
}

TEST_CASE("blank lines are skipped, line ends may be Windows', the last may be missing") {
  Outcome o = run(tokenize(model_folder("tiny-qwen2-docs"), {"--decode"}),
                  {.input = "\n[]\r\n\n [ 1 , 2 ] ", .env = {}});
  CHECK(o.exit_code == 0);
  CHECK(lines_of(o.out).size() == 2);
}

TEST_CASE("many lines keep their order") {
  std::string texts, ids;
  std::vector<Json> golden = golden_texts("tiny-qwen2-docs");
  for (size_t i = 0; texts.size() < 8'000'000; ++i) {
    const Json& one = golden[i * i % golden.size()];
    texts += one["text"].dump() + "\n";
    ids += one["ids"].dump() + "\n";
  }
  Outcome o = run(tokenize(model_folder("tiny-qwen2-docs")), {.input = texts, .env = {}});
  CHECK(o.exit_code == 0);
  CHECK(o.out == ids);
}

TEST_CASE("an answer comes for each line, before the next is asked") {
  int to[2], from[2];
  REQUIRE(pipe(to) == 0);
  REQUIRE(pipe(from) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    alarm(20);  // nothing here may wait longer
    execl(program("litelang").c_str(), "litelang", "tokenize", "--model",
          model_folder("tiny-qwen2-docs").c_str(), nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  for (int i = 0; i < 3; ++i) {
    CHECK(write(to[1], "\"a\"\n", 4) == 4);
    char answer[64];
    ssize_t size = read(from[0], answer, sizeof answer);
    REQUIRE(size > 0);
    CHECK(std::string(answer, static_cast<size_t>(size)) == "[64]\n");
  }
  close(to[1]);
  int status = 0;
  waitpid(pid, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  close(from[0]);
}
