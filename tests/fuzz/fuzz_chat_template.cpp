// A chat template is a program from outside: any template with any data gives a text or an Error,
// stays within the limits of a rendering, and gives the same again. An input's last line is the
// JSON, what stands before it the template.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/utf8.h"
#include "model/text/chat_template.h"

namespace {

using ll::JsonTree;

// Small ones: what takes time without counting as steps shows as an input that runs for seconds.
constexpr ll::jinja::RenderLimits kLimits = {
    .steps = 200'000, .memory_bytes = size_t{64} << 20, .output_bytes = size_t{1} << 20};

JsonTree object_of(std::string_view json) try {
  JsonTree tree = JsonTree::parse(json, "fuzz");
  if (tree.is(JsonTree::Kind::kObject)) return tree;
  return JsonTree::parse("{}", "fuzz");
} catch (const ll::Error&) {
  return JsonTree::parse("{}", "fuzz");
}

void render(const ll::jinja::Template& program, const JsonTree& variables) try {
  std::string text = program.render(variables, kLimits);
  if (text.size() > kLimits.output_bytes) std::abort();
  if (ll::find_invalid_utf8(text) != text.npos) std::abort();
  if (program.render(variables, kLimits) != text) std::abort();
} catch (const ll::Error&) {
}

void chat(std::string_view source, const JsonTree& body) try {
  ll::JsonFields fields(body);
  ll::ChatRequest request = ll::read_chat_request(fields);
  ll::ChatTemplate::from_text(source, "fuzz").render(request, kLimits);
} catch (const ll::Error&) {
}

void run(std::string_view source, std::string_view json) try {
  JsonTree data = object_of(json);
  render(ll::jinja::Template(source, "fuzz"), data);
  chat(source, data);
} catch (const ll::Error&) {
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  setenv("SOURCE_DATE_EPOCH", "1796029507", 1);  // strftime_now gives the same again, too
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  size_t end = input.rfind('\n');
  if (end == input.npos)
    run(input, "{}");
  else
    run(input.substr(0, end), input.substr(end + 1));
  return 0;
}
