// usage: bench_tokenizer tokenizer.json text-file
// Speed of one thread in MB of text a second, the best of a few rounds.
#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/input_file.h"
#include "model/text/tokenizer.h"
#include "perf/best_seconds.h"

namespace {

void run(const char* tokenizer_path, const char* text_path) {
  std::string json = ll::InputFile(tokenizer_path).read_all(UINT64_MAX);
  std::string text = ll::InputFile(text_path).read_all(UINT64_MAX);
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
