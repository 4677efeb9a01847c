// usage: bench_drafts tokenizer.json FILE FILE...
// How many tokens a step has with drafts from what was said, replayed on real text: no model and no
// device. Of each file (and the next one) requests and their answers are made:
//   edit    the file, to be given back with a word more in every twelfth line
//   quotes  the file, then lines of the next file and of this one in turn, three at a time
//   goes on the first third of the file, then the rest of it
//   new     the file, then the beginning of the next one
// Drafts come from the answer so far; from the prompt, too; and from the eight requests before. The
// numbers are mean tokens a step, 1 without drafts, by the most drafts that a step has.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/input_file.h"
#include "kernels/backend.h"
#include "model/text/tokenizer.h"

namespace {

using Tokens = std::vector<int32_t>;
using Lines = std::vector<std::string>;

constexpr size_t kMostBytes = 12'000;  // of a file
constexpr size_t kEarlier = 8;         // requests
constexpr std::array<int32_t, 4> kDrafts = {1, 3, 7, 15};

struct Case {
  std::string prompt, answer;
};

Lines lines_of(const std::string& text) {
  Lines lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    lines.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return lines;
}

std::string edited(const std::string& text) {
  std::string out;
  size_t number = 0;
  for (std::string line : lines_of(text)) {
    size_t word = line.find(' ', line.find_first_not_of(' '));
    if (++number % 12 == 0 && word != std::string::npos) line.insert(word, " checked");
    out += line;
  }
  return out;
}

std::string quoting(const std::string& text, const std::string& other) {
  Lines quoted = lines_of(text), said = lines_of(other);
  std::string out;
  for (size_t i = 0; i + 3 <= std::min(quoted.size() / 2, said.size()); i += 3) {
    for (size_t k = i; k < i + 3; ++k) out += said[k];
    for (size_t k = 2 * i; k < 2 * i + 3; ++k) out += quoted[k];
  }
  return out;
}

const std::array<const char*, 4> kKinds = {"edit", "quotes", "goes on", "new"};

Case make_case(size_t kind, const std::string& text, const std::string& next) {
  switch (kind) {
    case 0:
      return {text + "\nMark what is checked.\n", edited(text)};
    case 1:
      return {text + "\nSummarize with quotes.\n", quoting(text, next)};
    case 2:
      return {text.substr(0, text.size() / 3), text.substr(text.size() / 3)};
    default:
      return {text, next.substr(0, 4000)};
  }
}

// The tokens of slot 0 and of others, as a device has them.
class Replay {
 public:
  Replay(const ll::Backend& backend, const std::vector<Tokens>& earlier)
      : backend_(backend), lengths_{0}, ends_{INT32_MAX} {
    size_t longest = 1 << 15;
    for (const Tokens& t : earlier) {
      lengths_.push_back(static_cast<int32_t>(t.size()));
      ends_.push_back(INT32_MAX);
      longest = std::max(longest, t.size() + 1);
    }
    stride_ = longest;
    tokens_.resize(stride_ * lengths_.size());
    for (size_t i = 0; i < earlier.size(); ++i)
      std::copy(earlier[i].begin(), earlier[i].end(),
                tokens_.begin() + static_cast<int64_t>((i + 1) * stride_));
  }

  // Steps for the answer, whose first token a prompt's step brings.
  size_t steps(const Tokens& prompt, const Tokens& answer, int32_t drafts) {
    std::copy(prompt.begin(), prompt.end(), tokens_.begin());
    size_t count = 0;
    for (size_t done = 1; done < answer.size(); ++count) {
      std::copy_n(answer.begin(), done, tokens_.begin() + static_cast<int64_t>(prompt.size()));
      lengths_[0] = static_cast<int32_t>(prompt.size() + done);
      Tokens guessed = propose(drafts);
      size_t right = 0;
      while (right < guessed.size() && done + right < answer.size() &&
             guessed[right] == answer[done + right])
        ++right;
      done += right + 1;
    }
    return count;
  }

 private:
  Tokens propose(int32_t drafts) {
    auto rows = static_cast<size_t>(drafts) + 1;
    Tokens slots(rows, 0), ids(rows), positions(rows);
    std::vector<ll::SamplingRow> sampling(rows);
    backend_.ops.speculation.propose_drafts(
        {}, {.history = {tokens_.data(), static_cast<int64_t>(stride_),
                         static_cast<int32_t>(lengths_.size()), lengths_.data(), ends_.data()},
             .num_rows = drafts + 1,
             .rows_each = drafts + 1,
             .slots = slots.data(),
             .ids = ids.data(),
             .positions = positions.data(),
             .sampling = sampling.data()});
    Tokens guessed;
    for (size_t i = 1; i < rows && positions[i] >= 0; ++i) guessed.push_back(ids[i]);
    return guessed;
  }

  const ll::Backend& backend_;
  size_t stride_ = 0;
  Tokens tokens_, lengths_, ends_;
};

struct Sum {
  double tokens = 0, steps = 0;
};

void run(const std::string& tokenizer_path, const std::vector<std::string>& paths) {
  ll::Backend backend = ll::open_backend(ll::BackendKind::kCpu, 0, 1);
  ll::Tokenizer tokenizer =
      ll::Tokenizer::from_json(ll::InputFile(tokenizer_path).read_all(UINT64_MAX), tokenizer_path);
  std::vector<std::string> texts;
  for (const std::string& path : paths)
    texts.push_back(ll::InputFile(path).read_all(UINT64_MAX).substr(0, kMostBytes));
  const std::array<const char*, 3> sources = {"answer", "+ prompt", "+ earlier"};
  std::string head = fmt::format("{:10}{:12}{:>10}", "answer", "drafts from", "tokens");
  for (int32_t drafts : kDrafts) head += fmt::format("{:>8}", drafts);
  fmt::print("{}\n", head);
  for (size_t kind = 0; kind < kKinds.size(); ++kind) {
    std::vector<std::pair<Tokens, Tokens>> cases;
    for (size_t i = 0; i < texts.size(); ++i) {
      Case one = make_case(kind, texts[i], texts[(i + 1) % texts.size()]);
      cases.emplace_back(tokenizer.encode(one.prompt), tokenizer.encode(one.answer));
    }
    for (size_t source = 0; source < sources.size(); ++source) {
      std::array<Sum, kDrafts.size()> sums;
      for (size_t i = 0; i < cases.size(); ++i) {
        std::vector<Tokens> earlier;
        for (size_t back = 1; source == 2 && back <= std::min(kEarlier, i); ++back) {
          earlier.push_back(cases[i - back].first);
          earlier.back().insert(earlier.back().end(), cases[i - back].second.begin(),
                                cases[i - back].second.end());
        }
        Replay replay(backend, earlier);
        const auto& [prompt, answer] = cases[i];
        for (size_t k = 0; k < kDrafts.size() && answer.size() > 1; ++k) {
          sums[k].tokens += static_cast<double>(answer.size() - 1);
          sums[k].steps += static_cast<double>(
              replay.steps(source == 0 ? Tokens{} : prompt, answer, kDrafts[k]));
        }
      }
      fmt::print("{:10}{:12}{:>10}", kKinds[kind], sources[source], sums[0].tokens);
      for (const Sum& s : sums) fmt::print("{:>8.2f}", s.tokens / s.steps);
      fmt::print("\n");
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) ll::fail_usage("usage: bench_drafts tokenizer.json FILE FILE...");
  run(argv[1], {argv + 2, argv + argc});
} catch (const ll::Error& error) {
  fmt::print(stderr, "bench_drafts: {}\n", error.what());
  return static_cast<int>(error.code());
}
