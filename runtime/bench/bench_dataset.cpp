#include "runtime/bench/bench_dataset.h"

#include <cmath>
#include <random>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/line_reader.h"
#include "runtime/bench/python_random.h"

namespace ll {
namespace {

constexpr int64_t kMaxLineBytes = int64_t{64} << 20;

// Uniform and the same on every platform, unlike the standard's distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  std::vector<int32_t> tokens(int64_t n, int32_t vocab) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    for (int32_t& id : ids) id = static_cast<int32_t>(below(vocab));
    return ids;
  }
  // Within `ratio` of `length`, at least 1.
  int64_t around(int64_t length, double ratio) {
    auto spread = static_cast<int64_t>(std::floor(static_cast<double>(length) * ratio));
    return std::max<int64_t>(1, length - spread + below(2 * spread + 1));
  }

 private:
  std::mt19937_64 engine_;
};

std::vector<BenchRequest> random_dataset(const DatasetOptions& o, int32_t vocab) {
  Random random(o.seed);
  std::vector<BenchRequest> requests;
  for (int64_t i = 0; i < o.num_prompts; ++i) {
    int64_t length = random.around(o.input_len, o.range_ratio);
    auto output = static_cast<int32_t>(random.around(o.output_len, o.range_ratio));
    requests.push_back({random.tokens(length, vocab), output});
  }
  return requests;
}

std::vector<BenchRequest> nano_dataset(int64_t num_prompts, int32_t vocab) {
  constexpr int64_t kShortest = 100, kLongest = 1024, kMaxToken = 10000;
  PythonRandom random(0);
  std::vector<BenchRequest> requests(static_cast<size_t>(num_prompts));
  for (BenchRequest& r : requests) {
    r.prompt.resize(static_cast<size_t>(random.randint(kShortest, kLongest)));
    for (int32_t& id : r.prompt) id = static_cast<int32_t>(random.randint(0, kMaxToken) % vocab);
  }
  for (BenchRequest& r : requests)
    r.output_len = static_cast<int32_t>(random.randint(kShortest, kLongest));
  return requests;
}

std::vector<BenchRequest> shared_prefix_dataset(const DatasetOptions& o, int32_t vocab) {
  Random random(o.seed);
  std::vector<std::vector<int32_t>> prefixes;
  while (static_cast<int64_t>(prefixes.size()) < o.num_prefixes)
    prefixes.push_back(random.tokens(o.prefix_len, vocab));
  std::vector<BenchRequest> requests;
  for (int64_t i = 0; i < o.num_prompts; ++i) {
    const auto& prefix = prefixes[static_cast<size_t>(i % o.num_prefixes)];
    BenchRequest r{prefix, static_cast<int32_t>(o.output_len)};
    std::vector<int32_t> own = random.tokens(o.input_len, vocab);
    r.prompt.insert(r.prompt.end(), own.begin(), own.end());
    requests.push_back(std::move(r));
  }
  return requests;
}

BenchRequest parse_line(const std::string& text, int32_t vocab) {
  JsonTree tree = JsonTree::parse(text, "JSON");
  JsonFields fields(tree);
  const JsonTree* ids = fields.find("input_ids");
  check(ids && ids->is(JsonTree::Kind::kArray) && !ids->members.empty(),
        "input_ids: must be a list of token ids");
  BenchRequest r;
  for (const auto& [key, id] : ids->members) {
    int64_t token = id.is(JsonTree::Kind::kNumber) ? id.integer().value_or(-1) : -1;
    check(token >= 0 && token < vocab, "input_ids: {} is not a token of the vocabulary of {}",
          shown(id), vocab);
    r.prompt.push_back(static_cast<int32_t>(token));
  }
  r.output_len = static_cast<int32_t>(fields.integer("output_tokens", 1, INT32_MAX, 128));
  return r;
}

std::vector<BenchRequest> file_dataset(const DatasetOptions& o, int32_t vocab) {
  LineReader lines(o.path, kMaxLineBytes);
  std::vector<BenchRequest> requests;
  LineReader::Line line;
  while (lines.next(line)) {
    if (line.is_blank()) continue;
    try {
      check(!line.is_too_long, "line too long");
      requests.push_back(parse_line(line.text, vocab));
    } catch (const Error& e) {
      fail_usage("{}:{}: {}", o.path, line.number, e.what());
    }
  }
  check(!requests.empty(), "{}: no requests in it", o.path);
  return requests;
}

}  // namespace

std::vector<BenchRequest> make_dataset(const DatasetOptions& o, int32_t vocab) {
  switch (o.kind) {
    case DatasetOptions::Kind::kRandom:
      return random_dataset(o, vocab);
    case DatasetOptions::Kind::kNano:
      return nano_dataset(o.num_prompts, vocab);
    case DatasetOptions::Kind::kSharedPrefix:
      return shared_prefix_dataset(o, vocab);
    case DatasetOptions::Kind::kFile:
      return file_dataset(o, vocab);
  }
  return {};
}

}  // namespace ll
