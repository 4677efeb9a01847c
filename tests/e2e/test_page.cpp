// The page of a server at /: as it is served, and at work in headless Chromium where there is one.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/e2e/browser.h"
#include "tests/e2e/serving.h"

using namespace ll::test;
using std::chrono::seconds;

namespace {

// Asks with what is in the fields of the page.
void ask(Browser& page, const std::string& question, const Json& settings) {
  for (const auto& [name, value] : settings.items())
    page.evaluate(fmt::format("byId('{}').value = {}", name, value.dump()));
  page.evaluate(
      fmt::format("byId('question').value = {}; byId('question').focus()", Json(question).dump()));
  page.press("Enter");
}

bool is_answered(Browser& page) { return page.becomes("!running"); }

std::string last(Browser& page, const std::string& of) {
  return page.evaluate(fmt::format("[...document.querySelectorAll('{}')].at(-1).textContent", of));
}

constexpr const char* kText = "#log .text:not(.user, .thought)";

void give_key(Browser& page, const std::string& key) {
  REQUIRE(page.becomes("byId('key_dialog').open"));
  page.evaluate(fmt::format("byId('key').value = '{}'", key));
  page.evaluate("byId('key').focus()");
  page.press("Enter");
}

std::string plot(Browser& page, const std::string& title) {
  return page.evaluate(
      fmt::format("PLOTS.find(plot => plot.title === '{}').output?.textContent ?? 'none'", title));
}

}  // namespace

TEST_CASE("the page brings all it needs, and nothing else may run in it") {
  Serving server({"--set", "server.api_key=secret"});
  HttpReply page = server.get("/");
  CHECK(page.status == 200);
  CHECK(page.headers["content-type"] == "text/html; charset=utf-8");
  CHECK(page.headers["x-content-type-options"] == "nosniff");
  CHECK(page.headers["referrer-policy"] == "no-referrer");
  std::string policy = page.headers["content-security-policy"];
  for (const char* part : {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"})
    CHECK(policy.find(part) != policy.npos);
  size_t at = policy.find("script-src 'nonce-") + 18;
  std::string nonce = policy.substr(at, policy.find('\'', at) - at);
  CHECK(nonce.size() == 32);
  CHECK(page.body.find(fmt::format("<script nonce=\"{}\">", nonce)) != page.body.npos);
  CHECK(page.body.find("NONCE") == page.body.npos);
  CHECK(server.get("/").headers["content-security-policy"] != policy);
  std::string name_space = "http://www.w3.org/2000/svg";
  for (size_t i = 0; (i = page.body.find("//", i)) != page.body.npos; i += 2) {
    bool is_known = i >= 5 && page.body.compare(i - 5, name_space.size(), name_space) == 0;
    bool is_comment = i > 0 && (page.body[i - 1] == '\n' || page.body[i - 1] == ' ');
    CHECK((is_known || is_comment));
  }
  for (const char* path : {"/index.html", "//", "/page"}) CHECK(server.get(path).status == 404);
  HttpReply posted = server.ask("/", {});
  CHECK(posted.status == 405);
  CHECK(posted.headers["allow"] == "GET, HEAD");
  server.end();
}

TEST_CASE("the page asks for the key, chats, stops, tells errors and plots the load") {
  if (Browser::program().empty()) {
    MESSAGE("skipped: there is no Chromium here");
    return;
  }
  Serving server({"--set", "server.api_key=secret"});
  Browser page(fmt::format("http://127.0.0.1:{}/", server.port()));
  give_key(page, "wrong");
  give_key(page, "secret");
  CHECK(page.becomes("byId('model').textContent.startsWith('tiny-qwen2-docs')"));
  CHECK(page.becomes("byId('state').textContent.includes('tokens of context')"));

  Json question{{"messages",
                 {{{"role", "system"}, {"content", "Be brief."}},
                  {{"role", "user"}, {"content", "What is fork()?\nAnd \"exec\"?"}}}},
                {"max_tokens", 9},
                {"temperature", 0}};
  HttpReply reply =
      server.ask("/v1/chat/completions", question, "Authorization: Bearer secret\r\n");
  Json answer = Json::parse(reply.body);
  ask(page, "What is fork()?\nAnd \"exec\"?",
      {{"temperature", "0"}, {"max_tokens", "9"}, {"system", "Be brief."}});
  REQUIRE(is_answered(page));
  CHECK(last(page, kText) == answer["choices"][0]["message"]["content"]);
  CHECK(last(page, ".note")
            .starts_with(
                fmt::format("{} tokens · ", answer["usage"]["completion_tokens"].get<int>())));
  CHECK(page.evaluate("messages.map(message => message.role).join()") == "user,assistant");

  ask(page, "Again", {{"temperature", "-1"}});
  REQUIRE(is_answered(page));
  CHECK(last(page, ".note.bad").find("temperature") != std::string::npos);
  CHECK(page.evaluate("byId('question').value") == "Again");
  CHECK(page.evaluate("messages.length") == 2);

  page.evaluate("byId('fresh').click()");
  CHECK(page.evaluate("messages.length + byId('log').children.length") == 0);
  ask(page, "<b>At length</b>", {{"temperature", "0"}, {"max_tokens", "3000"}, {"system", ""}});
  CHECK(
      page.becomes(fmt::format("[...document.querySelectorAll('{}')].at(-1).textContent", kText)));
  page.evaluate("look()");  // sooner than it would
  CHECK(plot(page, "Running") == "1");
  CHECK(plot(page, "Tokens out") != "none");
  CHECK(plot(page, "Cache hits") != "none");
  CHECK(plot(page, "Acceptance") == "none");  // no drafts are made
  CHECK(page.evaluate("byId('go').textContent") == "Stop");
  page.press("Escape");
  REQUIRE(is_answered(page));
  CHECK(last(page, ".note") == "stopped");
  CHECK(server.becomes("num_requests_running", 0, seconds(3)));
  CHECK(last(page, ".user") == "<b>At length</b>");
  server.end();
  CHECK(page.becomes("!byId('lost').hidden"));
  for (const std::string& problem : page.problems()) FAIL_CHECK(problem);
}

TEST_CASE("the page plots which share of the drafts is accepted, once there are any") {
  if (Browser::program().empty()) {
    MESSAGE("skipped: there is no Chromium here");
    return;
  }
  Serving server({"--set", "speculative.method=ngram", "--set", "speculative.adaptive=false"});
  Browser page(fmt::format("http://127.0.0.1:{}/", server.port()));
  page.evaluate("Object.defineProperty(document, 'hidden', {value: true})");  // looks when told
  page.evaluate("look()");
  page.evaluate("look()");
  CHECK(plot(page, "Running") == "0");
  CHECK(plot(page, "Acceptance") == "none");
  server.answer("/v1/completions", greedy(200));  // which says the same again and again
  double drafted = server.metric("spec_decode_num_draft_tokens_total");
  double accepted = server.metric("spec_decode_num_accepted_tokens_total");
  REQUIRE(accepted > 0);
  REQUIRE(accepted <= drafted);
  page.evaluate("look()");
  std::string share = fmt::format("{:.0f} %", 100 * accepted / drafted);
  CHECK(plot(page, "Acceptance") == share);
  page.evaluate("look()");  // no drafts since: the last share stays
  CHECK(plot(page, "Acceptance") == share);
  CHECK(page.evaluate("document.querySelectorAll('.plot').length") == 7);
  for (int width : {360, 420, 700, 1000}) {  // from telephones on, all of it fits
    CAPTURE(width);
    page.resize(width, 760);
    CHECK(page.evaluate("document.documentElement.scrollWidth") == width);
    CHECK(page.evaluate("document.documentElement.scrollHeight") == 760);
    CHECK(page.evaluate("[...document.querySelectorAll('figcaption')].filter("
                        "caption => caption.scrollWidth > caption.clientWidth).length") == 0);
  }
  server.end();
  for (const std::string& problem : page.problems()) FAIL_CHECK(problem);
}
