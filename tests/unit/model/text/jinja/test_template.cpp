#include "model/text/jinja/template.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "model/text/jinja/values/text_find.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using ll::JsonTree;
using ll::jinja::Template;
using ll::test::error_of;

std::string render(std::string_view source, std::string_view variables = "{}") {
  return Template(source, "t").render(JsonTree::parse(variables, "variables"));
}

std::string error(std::string_view source, std::string_view variables = "{}") {
  return error_of([&] { render(source, variables); });
}

std::string error_within(size_t steps, std::string_view source) {
  return error_of(
      [&] { Template(source, "t").render(JsonTree::parse("{}", ""), {.steps = steps}); });
}

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

// A case is right when the text is, or when the error has the reference's message in it. Jinja's
// messages about the syntax are its own.
bool is_right(const JsonTree& test) {
  const JsonTree* text = test.member("text");
  std::string got;
  std::string failure = error_of(
      [&] { got = Template(test.find("template")->text, "t").render(*test.find("context")); });
  if (text != nullptr) return failure.empty() && got == text->text;
  std::string_view id = test.find("id")->text;
  bool is_syntax = id == "syntax-error" || id == "unknown-tag";
  return !failure.empty() &&
         (is_syntax || failure.find(test.find("error")->text) != std::string::npos);
}

}  // namespace

TEST_CASE("templates render as transformers renders them") {
  setenv("SOURCE_DATE_EPOCH", "1796029507", 1);
  std::string lines = ll::test::read_data("templates/cases.jsonl");
  size_t num_cases = 0;
  for (std::string_view rest = lines; !rest.empty(); ++num_cases) {
    std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(line.size() + 1);
    CAPTURE(line);
    CHECK(is_right(JsonTree::parse(line, "case")));
  }
  unsetenv("SOURCE_DATE_EPOCH");
  CHECK(num_cases > 600);
}

TEST_CASE("errors name the template, the line and what is wrong") {
  CHECK(error("a\n{{ b.c }}") == "t, line 2: 'b' is undefined");
  CHECK(error("\n\n{{ raise_exception('no ' ~ 1) }}") == "t, line 3: no 1");
  CHECK(error("{% if x %}\n{{ 'a' + 1 }}{% endif %}", R"({"x": 1})") ==
        "t, line 2: can only concatenate str (not \"int\") to str");
  CHECK(error("\n{% for x in y") == "t, line 2: unexpected end of the template: '%}' is missing");
  CHECK(error("{% endif %}") == "t, line 1: unknown tag 'endif'");
  CHECK(error("{{ 'a }}") == "t, line 1: a string has no end");
  CHECK(error("{{ 1 | nosuch }}") == "t, line 1: No filter named 'nosuch'.");
  CHECK(error("{% if 0 %}{{ 1 | nosuch }}{% endif %}") == "");
  CHECK(error("{% if 1 %}\n{{ 1 is nosuch }}{% endif %}") ==
        "t, line 2: No test named 'nosuch' found.");
  CHECK(error("{{ ( }}") == "t, line 1: unexpected '}', expected ')'");
  CHECK(error("{{ '\\ud83d' }}") ==
        "t, line 1: a string has the code point d83d, which is no character");
  CHECK(error("{{ x }}\xff") == "t: byte 7 is not valid UTF-8");
  CHECK(error("{% for x in y recursive %}{% endfor %}") ==
        "t, line 1: recursive loops are not supported");
}

TEST_CASE("a template takes a limited number of steps") {
  std::string loops =
      "{% set l = range(100000) %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}";
  CHECK(error(loops) == "t, line 1: it takes more than 100000000 steps");
  std::string find =
      "{% set s = 'a' * 100000000 %}{% for i in range(10000) %}{{ 'b' in s }}{% endfor %}";
  CHECK(error(find) == "t, line 1: it takes more than 100000000 steps");
}

// Each takes little memory and no loop; without limits of their own they would run for years.
TEST_CASE("values of shared parts are walked for a limited number of steps") {
  std::string shared =
      "{% set ns = namespace(a=[1], b=[1], t=(1,)) %}{% for i in range(100) %}"
      "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% set ns.t = (ns.t, ns.t) %}"
      "{% endfor %}";
  for (std::string use :
       {"ns.a", "ns.a|string|length", "ns.a|tojson", "ns.a == ns.b", "ns.a in [ns.b]",
        "[ns.a, ns.b]|sort", "{ns.t: 1}|length", "'%s' % (ns.t,)", "'{}'.format(ns.a)",
        "[ns.t]|unique|list|length", "[ns.a]|join"}) {
    CAPTURE(use);
    CHECK(error_within(100'000, shared + "{{ " + use + " }}") ==
          "t, line 1: it takes more than 100000 steps");
  }
  CHECK(render(shared + "{{ ns.a == ns.a }}") == "True");
  CHECK(error_within(1'000'000, "{{ ('{0}' * 100000).format('x' * 1000000) }}") ==
        "t, line 1: it takes more than 1000000 steps");
  CHECK(error_within(1'000'000, "{{ ('%s' * 100000) % (('x' * 1000000,) * 100000) }}") ==
        "t, line 1: it takes more than 1000000 steps");
}

TEST_CASE("texts are found in a time that grows with their sum") {
  std::string start =
      "{% set s = 'a' * 2000000 %}{% set w = 'a' * 1000000 ~ 'b' %}"
      "{% set v = 'b' ~ 'a' * 1000000 %}";
  std::string text =
      render(start +
             "{{ w in s }} {{ s.find(w) }} {{ s.count(w) }} {{ s.replace(w, 'x')|length }} "
             "{{ s.split(w)|length }} {{ s.partition(w)[1]|length }} {{ v in s }} {{ s.rfind(v) }} "
             "{{ s.rfind(w) }} {{ s.rsplit(v)|length }} {{ s.rpartition(w)[1]|length }}");
  CHECK(text == "False -1 0 2000000 1 0 False -1 -1 1 0");
  // In random lines of two letters, with starts of the word between them.
  std::minstd_rand random(1);
  for (int round = 0; round < 300; ++round) {
    std::string word, line;
    while (word.size() < 17 + random() % 5) word += random() % 2 == 0 ? 'a' : 'b';
    while (line.size() < 400)
      if (random() % 9 == 0)
        line += word.substr(0, random() % (word.size() + 1));
      else
        line += random() % 2 == 0 ? 'a' : 'b';
    CAPTURE(word);
    CAPTURE(line);
    CHECK(ll::jinja::find_text(line, word) == line.find(word));
    CHECK(ll::jinja::find_text(line, word, 100) == line.find(word, 100));
    CHECK(ll::jinja::find_last_text(line, word) == line.rfind(word));
  }
}

TEST_CASE("a caller may set closer limits") {
  ll::JsonTree none = ll::JsonTree::parse("{}", "variables");
  Template t("{% for i in range(100) %}{{ 'abcd' * 10 }}{% endfor %}", "t");
  CHECK(t.render(none, {.output_bytes = 4000}).size() == 4000);
  CHECK(error_of([&] { t.render(none, {.output_bytes = 3999}); }) ==
        "t, line 1: it prints more than 3999 bytes");
  CHECK(error_of([&] { t.render(none, {.steps = 99}); }) ==
        "t, line 1: it takes more than 99 steps");
  CHECK(error_of([&] { t.render(none, {.memory_bytes = 1}); }).find("memory") != std::string::npos);
}

TEST_CASE("a template takes a limited depth") {
  CHECK(error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")
            .find("nested deeper than 1500 levels") != std::string::npos);
  CHECK(error(repeated("{% if 1 %}", 300)).find("nested deeper than 200 levels") !=
        std::string::npos);
  CHECK(error("{{ " + repeated("(", 300) + "1" + repeated(")", 300) + " }}")
            .find("nested deeper than 200 levels") != std::string::npos);
  CHECK(error("{{ 1" + repeated(" + 1", 5000) + " }}").find("nested deeper than 1000 levels") !=
        std::string::npos);
  CHECK(render("{{ 1" + repeated(" + 1", 500) + " }}") == "501");
  std::string nested =
      "{% set ns = namespace(l=[], m=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}"
      "{% set ns.m = [ns.m] %}{% endfor %}";
  CHECK(error(nested + "{{ ns.l }}").find("nested deeper than 500 levels") != std::string::npos);
  CHECK(error(nested + "{{ ns.l | tojson }}").find("nested deeper") != std::string::npos);
  CHECK(error(nested + "{{ ns.l == ns.m }}").find("nested deeper") != std::string::npos);
}

TEST_CASE("a template takes limited memory and output") {
  std::string big = "{% set s = 'abcdefgh' * 10000000 %}";
  CHECK(error(big + "{% set t = s * 100 %}") ==
        "t, line 1: it needs more memory than a template may take");
  CHECK(error(big + "{% for i in range(9) %}{{ s }}{% endfor %}") ==
        "t, line 1: it prints more than 268435456 bytes");
  CHECK(error("{{ 'x'.center(10000000000) }}").find("it takes more than") != std::string::npos);
  CHECK(error("{{ '%999999d' % 1 }}").find("more than 10000 characters") != std::string::npos);
  CHECK(error("{{ '{:999999}'.format(1) }}").find("more than 10000 characters") !=
        std::string::npos);
}

TEST_CASE("what grows by bits takes memory in proportion") {
  std::string source =
      "{% set ns = namespace(s='', l=[]) %}{% for i in range(50000) %}"
      "{% set ns.s = ns.s + 'twenty characters...' %}{% endfor %}"
      "{% for i in range(50000) %}{% set ns.l = ns.l + [1] %}{% endfor %}"
      "{{ ns.s | length }} {{ ns.l | length }}";
  CHECK(render(source) == "1000000 50000");
  // What shares its beginning with a text that grew is not changed.
  CHECK(
      render("{% set a = 'a' ~ 'b' %}{% set b = a ~ 'c' %}{% set c = a ~ 'd' %}{{ a ~ b ~ c }}") ==
      "ababcabd");
  CHECK(render("{% set a = [1] + [2] %}{% set b = a + [3] %}{% set c = a[:1] + [4] %}"
               "{{ a }}{{ b }}{{ c }}") == "[1, 2][1, 2, 3][1, 4]");
}

TEST_CASE("variables hide functions, and data is not changed") {
  CHECK(render("{{ range }}", R"({"range": 1})") == "1");
  CHECK(render("{% set _ = x.get('a') %}{{ x }}", R"({"x": {"a": [1]}})") == "{'a': [1]}");
  CHECK(render("{{ x.k500 }}{{ x.k0 }}{{ x['k999'] }}{{ x.nope is defined }}", [] {
          std::string json = R"({"x": {)";
          for (int i = 0; i < 1000; ++i) json += fmt::format("{}\"k{}\": {}", i ? "," : "", i, i);
          return json + "}}";
        }()) == "5000999False");
}

TEST_CASE("strftime_now is the time of SOURCE_DATE_EPOCH where that is set") {
  setenv("SOURCE_DATE_EPOCH", "0", 1);
  CHECK(render("{{ strftime_now('%Y-%m-%d %H:%M:%S %a %f%z') }}") ==
        "1970-01-01 00:00:00 Thu 000000");
  setenv("SOURCE_DATE_EPOCH", "tomorrow", 1);
  CHECK(error("{{ strftime_now('%Y') }}").find("SOURCE_DATE_EPOCH is 'tomorrow'") !=
        std::string::npos);
  unsetenv("SOURCE_DATE_EPOCH");
  CHECK(render("{{ strftime_now('%Y') | int > 2024 }}") == "True");
}
