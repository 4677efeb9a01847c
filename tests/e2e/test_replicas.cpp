// Replicas that share one file: the answers are those of one, each line is answered once.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <fstream>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

std::vector<Json> uneven_requests(int count) {
  std::vector<Json> requests;
  for (int i = 0; i < count; ++i) {
    Json fields{{"max_tokens", 4 + (i % 7 == 0 ? 40 : i % 5)},
                {"return_token_ids", true},
                {"ignore_eos", true},
                {"seed", i + 1},
                {"temperature", i % 3 == 0 ? 0.0 : 0.8}};
    if (i % 6 == 5) fields["n"] = 3;
    requests.push_back(
        completion(fmt::format("r{}", i), fmt::format("The kernel number {}", i % 8), fields));
  }
  return requests;
}

}  // namespace

TEST_CASE("replicas give the answers of one") {
  auto requests = uneven_requests(60);
  Json one = answer({.np = 1}, requests).tokens();
  struct Run {
    int np;
    std::vector<std::string> sets;
  };
  for (const Run& run : {Run{2, {"grid.dp=2"}}, Run{2, {"grid.dp=2", "scheduler.max_num_seqs=3"}},
                         Run{4, {"grid.dp=2", "grid.y=2"}},
                         Run{4, {"grid.dp=2", "grid.x=2", "scheduler.max_num_seqs=5"}},
                         Run{4, {"grid.dp=4", "scheduler.max_num_seqs=4"}}}) {
    CAPTURE(run.sets[0]);
    Answers answers = answer({.np = run.np, .sets = run.sets}, requests);
    CHECK(answers.tokens() == one);
    CHECK(answers.outcome.err.find("replicas busy") != std::string::npos);
  }
}

TEST_CASE("replicas: bad lines are reported once, and few lines leave replicas idle") {
  auto good = uneven_requests(3);
  std::string text = "nonsense\n" + jsonl(good) + "{}\n";
  Answers answers = answer({.np = 3, .sets = {"grid.dp=3"}}, text);
  CHECK(answers.by_id.size() == 3);
  CHECK(answers.errors.size() == 2);
  CHECK(answers.lines.size() == 5);
  Answers none = answer({.np = 2, .sets = {"grid.dp=2"}}, std::string());
  CHECK(none.lines.empty());
}
