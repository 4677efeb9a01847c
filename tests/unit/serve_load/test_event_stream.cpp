#include <doctest/doctest.h>

#include <vector>

#include "perf/serve_load/event_stream.h"

using namespace ll;

namespace {

using Texts = std::vector<std::string>;

// What comes of a text that arrives in pieces of `size`.
Texts events_of(const std::string& text, size_t size) {
  EventStream stream;
  Texts events;
  for (size_t i = 0; i < text.size(); i += size)
    stream.push(std::string_view(text).substr(i, size),
                [&](std::string_view data) { events.emplace_back(data); });
  return events;
}

struct Case {
  const char* text;
  Texts events;
};

}  // namespace

TEST_CASE("events are the same in whatever pieces they arrive") {
  Case cases[] = {
      {"data: {\"a\": 1}\n\ndata: [DONE]\n\n", {"{\"a\": 1}", "[DONE]"}},
      {"data:tight\r\n\r\ndata:  two\r\n\r\n", {"tight", " two"}},
      {"data: a\rdata: b\r\rdata: c\n\n", {"a\nb", "c"}},
      {": a comment\n\nevent: x\nid: 7\ndata: y\nretry: 9\n\n", {"y"}},
      {"data\n\ndata:\ndata:\n\n", {"", "\n"}},
      {"database: no\n\ndata: half an event", {}},
      {"data: a:b\n\n\n\n", {"a:b"}},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    for (size_t size = 1; size <= 9; ++size) CHECK(events_of(c.text, size) == c.events);
    CHECK(events_of(c.text, 1000) == c.events);
  }
}
