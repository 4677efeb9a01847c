#include "runtime/batch/asking_order.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <utility>

#include "runtime/batch/raw_member.h"

namespace ll {
namespace {

// Bytes that two prompts begin with alike for it to be worth a page of tokens.
constexpr size_t kMinShared = 64;

// What a request's prompt is made of, as it stands in the line; tools are rendered first.
struct PromptText {
  std::string_view tools, text;
  auto operator<=>(const PromptText&) const = default;
};

PromptText prompt_text(std::string_view line) {
  std::string_view body = raw_member(line, "body"), messages = raw_member(body, "messages");
  return {raw_member(body, "tools"), messages.empty() ? raw_member(body, "prompt") : messages};
}

bool begin_alike(const PromptText& a, const PromptText& b) {
  if (a.tools != b.tools) return false;
  size_t size = std::min(a.text.size(), b.text.size());
  // Equal prompts, too, where they are short.
  if (size < kMinShared) return a.text == b.text;
  return a.text.substr(0, kMinShared) == b.text.substr(0, kMinShared);
}

int64_t max_tokens(std::string_view line) {
  std::string_view body = raw_member(line, "body");
  int64_t most = INT64_MAX;  // as many as fit
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    std::string_view text = raw_member(body, name);
    std::from_chars(text.data(), text.data() + text.size(), most);
  }
  return most;
}

std::vector<size_t> in_file_order(size_t size) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

std::vector<size_t> longest_first(std::span<const LineReader::Line> lines) {
  std::vector<int64_t> lengths;
  for (const LineReader::Line& line : lines) lengths.push_back(max_tokens(line.text));
  std::vector<size_t> order = in_file_order(lines.size());
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  return order;
}

// Sorted, they are walked as a tree's leaves; then groups go back to the file's order.
std::vector<size_t> by_prefix(std::span<const LineReader::Line> lines) {
  std::vector<PromptText> prompts;
  for (const LineReader::Line& line : lines) prompts.push_back(prompt_text(line.text));
  std::vector<size_t> sorted = in_file_order(lines.size()), first_of(lines.size());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](size_t a, size_t b) { return prompts[a] < prompts[b]; });
  for (size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    size_t first = sorted[begin];
    for (end = begin + 1;
         end < sorted.size() && begin_alike(prompts[sorted[end - 1]], prompts[sorted[end]]); ++end)
      first = std::min(first, sorted[end]);
    for (size_t i = begin; i < end; ++i) first_of[sorted[i]] = first;
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](size_t a, size_t b) { return first_of[a] < first_of[b]; });
  return sorted;
}

}  // namespace

std::vector<size_t> asking_order(std::span<const LineReader::Line> lines,
                                 BatchOptions::Order order) {
  using Order = BatchOptions::Order;
  if (order == Order::kPrefix) return by_prefix(lines);
  if (order == Order::kLongest) return longest_first(lines);
  return in_file_order(lines.size());
}

}  // namespace ll
