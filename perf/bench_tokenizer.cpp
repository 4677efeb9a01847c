// usage: bench_tokenizer tokenizer.json text-file
// Speed of one thread in MB of text a second, the best of a few rounds.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/check.h"
#include "model/text/tokenizer.h"

namespace {

constexpr int kRounds = 5;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  ll::check(file.good(), "{}: cannot be opened for reading", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

double best_seconds(const auto& work) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  return best;
}

void run(const char* tokenizer_path, const char* text_path) {
  std::string json = read_file(tokenizer_path);
  std::string text = read_file(text_path);
  double load = best_seconds([&] { ll::Tokenizer::from_json(json, tokenizer_path); });
  ll::Tokenizer tokenizer = ll::Tokenizer::from_json(json, tokenizer_path);
  std::vector<int32_t> ids;
  std::string decoded;
  double encode = best_seconds([&] { ids = tokenizer.encode(text); });
  double decode = best_seconds([&] { decoded = tokenizer.decode(ids, false); });
  double megabytes = static_cast<double>(text.size()) / 1e6;
  fmt::print("load {:.3f} s; {} bytes, {} tokens; encode {:.1f} MB/s; decode {:.1f} MB/s\n", load,
             text.size(), ids.size(), megabytes / encode, megabytes / decode);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) ll::fail_usage("usage: bench_tokenizer tokenizer.json text-file");
  run(argv[1], argv[2]);
} catch (const ll::Error& error) {
  fmt::print(stderr, "bench_tokenizer: {}\n", error.what());
  return static_cast<int>(error.code());
}
