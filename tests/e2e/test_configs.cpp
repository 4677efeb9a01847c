// The files of configs/: the reference knows every key and its default, the demonstration runs.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <regex>

#include "runtime/config/engine_config.h"
#include "tests/e2e/batch.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string config_path(const std::string& name) {
  return std::string(LITELANG_SOURCE) + "/configs/" + name;
}

// The keys a file shows, those of commented-out blocks (#key:) among them.
std::vector<std::string> keys_in(const std::string& text) {
  const std::regex section("#?([a-z_]+):.*"), key("#?  ([a-z_]+):.*");
  std::vector<std::string> keys;
  std::string above;
  std::smatch match;
  for (const std::string& line : lines_of(text)) {
    if (std::regex_match(line, match, section)) keys.push_back(above = match[1]);
    if (std::regex_match(line, match, key)) keys.push_back(above + "." + match[1].str());
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// Sections are no keys, but for those that may also have a value of their own.
void remove_sections(std::vector<std::string>& keys) {
  auto all = EngineConfig::keys();
  std::erase_if(keys, [&](const std::string& key) {
    bool has_keys = std::any_of(all.begin(), all.end(),
                                [&](const std::string& k) { return k.starts_with(key + "."); });
    return has_keys && std::find(all.begin(), all.end(), key) == all.end();
  });
}

}  // namespace

TEST_CASE("the reference shows every key") {
  auto shown = keys_in(read_file(config_path("reference.yaml"))), known = EngineConfig::keys();
  remove_sections(shown);
  std::sort(known.begin(), known.end());
  for (const std::string& key : known) {
    CAPTURE(key);
    CHECK(std::find(shown.begin(), shown.end(), key) != shown.end());
  }
  for (const std::string& key : shown) {
    CAPTURE(key);
    CHECK(std::find(known.begin(), known.end(), key) != known.end());
  }
}

TEST_CASE("the reference shows the defaults") {
  const std::vector<std::string> required = {"model.path=x"};
  std::string text = read_file(config_path("reference.yaml"));
  auto shown = EngineConfig::from_yaml(text, "reference.yaml", required);
  CHECK(shown == EngineConfig::from_yaml("", "nothing", required));
  // The block that stands in a comment, in the place of `grid: auto`.
  text = std::regex_replace(text, std::regex("\ngrid: auto[^\n]*"), "");
  text = std::regex_replace(text, std::regex("\n#(grid:|  )"), "\n$1");
  auto grid = EngineConfig::from_yaml(text, "reference.yaml", required).grid;
  REQUIRE(grid.has_value());
  CHECK(*grid == GridShape{});
}

TEST_CASE("the demonstration answers all its requests") {
  TempFolder folder;
  for (const char* np : {"1", "2", "4"}) {
    CAPTURE(np);
    Outcome o = run({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "--bind-to",
                     "none", "-np", np, program("litelang-run"), config_path("demo.yaml"), "--set",
                     "model.path=" + model_file("tiny-qwen2-docs"), "--set",
                     "job.output=" + folder.path("out"), "--set", "backend=cpu"});
    INFO(o.err);
    CHECK(o.exit_code == 0);
    auto requests = lines_of(read_file(config_path("demo.jsonl")));
    auto answers = lines_of(read_file(folder.path("out")));
    CHECK(requests.size() > 10);
    CHECK(answers.size() == requests.size());
    for (const std::string& line : answers) CHECK(Json::parse(line)["error"].is_null());
  }
}
