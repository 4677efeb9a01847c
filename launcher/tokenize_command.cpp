#include "launcher/tokenize_command.h"

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/check_call.h"
#include "base/input_file.h"
#include "base/json_tree.h"
#include "base/printable.h"
#include "base/write_all.h"
#include "launcher/options.h"
#include "model/files/weight_store.h"
#include "model/text/tokenizer.h"

namespace ll {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20, kMaxLineBytes = size_t{256} << 20;

struct TokenizeArguments {
  std::string model;
  bool decode = false, skip_special_tokens = false, add_special_tokens = false;
};

Tokenizer load_tokenizer(const std::string& model) {
  std::filesystem::path path = model;
  std::string json;
  if (std::filesystem::is_directory(path)) {
    path /= "tokenizer.json";
    json = read_tokenizer_json(model);
  } else {
    json =
        path.extension() == ".json" ? read_model_text(path) : load_model_texts(path).tokenizer_json;
  }
  check(!json.empty(), "{}: this model has no tokenizer", model);
  return Tokenizer::from_json(json, path.string());
}

std::string encode_line(const Tokenizer& tokenizer, std::string_view line, bool add_special) {
  JsonTree value = JsonTree::parse(line, "JSON");
  check(value.is(JsonTree::Kind::kString), "expected a JSON string, not {}", printable(line, 40));
  std::string out = "[";
  for (int32_t id : tokenizer.encode(value.text, add_special)) {
    char digits[16];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, id).ptr);
    out += ',';
  }
  if (out.back() == ',') out.pop_back();
  return out += ']';
}

// Not JsonTree: an array of ids is most of such a file's bytes, and a tree is large for it.
std::vector<int32_t> parse_ids(std::string_view line) {
  const char *at = line.data(), *end = at + line.size();
  auto skip_blanks = [&] {
    while (at != end && (*at == ' ' || *at == '\t')) ++at;
  };
  auto take = [&](char c) {
    skip_blanks();
    return at != end && *at == c ? (++at, true) : false;
  };
  auto refuse = [&] { fail("expected a JSON array of token ids, not {}", printable(line, 40)); };
  std::vector<int32_t> ids;
  if (!take('[')) refuse();
  if (!take(']')) do {
      skip_blanks();
      int32_t id = -1;
      auto [after, error] = std::from_chars(at, end, id);
      if (error != std::errc() || id < 0) refuse();
      at = after;
      ids.push_back(id);
    } while (take(','));
  if (at[-1] != ']' && !take(']')) refuse();
  skip_blanks();
  if (at != end) refuse();
  return ids;
}

std::string decode_line(const Tokenizer& tokenizer, std::string_view line, bool skip_special) {
  return nlohmann::json(tokenizer.decode(parse_ids(line), skip_special)).dump();
}

// Whole lines of the input.
struct Piece {
  std::string text;
  int64_t first_line = 1;
};

struct Converted {
  std::string text;
  std::string error;  // of the line behind the text
};

Converted convert_piece(const Tokenizer& tokenizer, const TokenizeArguments& a,
                        const Piece& piece) {
  std::string out;
  int64_t number = piece.first_line;
  std::string_view rest = piece.text;
  for (; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    try {
      out += a.decode ? decode_line(tokenizer, line, a.skip_special_tokens)
                      : encode_line(tokenizer, line, a.add_special_tokens);
    } catch (const Error& e) {
      return {out, fmt::format("standard input, line {}: {}", number, e.what())};
    }
    out += '\n';
  }
  return {out, ""};
}

// Standard input, cut into pieces of whole lines.
class PieceReader {
 public:
  // Whether next() returns without waiting for whoever writes.
  bool is_ready() const {
    pollfd fd{STDIN_FILENO, POLLIN, 0};
    return ::poll(&fd, 1, 0) != 0;
  }
  // What is there to read; false at the end. A piece may be empty: no line is complete yet.
  bool next(Piece& piece) {
    if (at_end_) return false;
    size_t kept = rest_.size();
    rest_.resize(kept + kReadBytes);
    ssize_t n;
    do n = ::read(STDIN_FILENO, rest_.data() + kept, kReadBytes);
    while (n < 0 && errno == EINTR);
    check_call(n >= 0, "standard input: cannot read");
    rest_.resize(kept + static_cast<size_t>(n));
    at_end_ = n == 0;
    size_t newline = std::string_view(rest_).substr(kept).rfind('\n');
    size_t length = at_end_ ? rest_.size() : newline == rest_.npos ? 0 : kept + newline + 1;
    piece = {rest_.substr(0, length), line_};
    rest_.erase(0, length);
    line_ += std::count(piece.text.begin(), piece.text.end(), '\n');
    check(rest_.size() <= kMaxLineBytes, "standard input, line {}: longer than {} bytes", line_,
          kMaxLineBytes);
    return true;
  }

 private:
  std::string rest_;
  int64_t line_ = 1;
  bool at_end_ = false;
};

void print(std::string_view text) {
  check_call(write_all(STDOUT_FILENO, text), "standard output: cannot write");
}

// Pieces are converted by several threads and written in order. Nothing is held back while the
// input pauses, so that a program may talk to this one line by line.
void convert_input(const Tokenizer& tokenizer, const TokenizeArguments& a) {
  size_t num_threads = std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
  std::deque<std::future<Converted>> converting;
  PieceReader reader;
  Piece piece;
  auto write_oldest = [&] {
    Converted piece = converting.front().get();
    converting.pop_front();
    print(piece.text);
    check(piece.error.empty(), "{}", piece.error);
  };
  for (;;) {
    while (!converting.empty() && (converting.size() > num_threads || !reader.is_ready()))
      write_oldest();
    if (!reader.next(piece)) break;
    converting.push_back(std::async(std::launch::async, [&, piece = std::move(piece)] {
      return convert_piece(tokenizer, a, piece);
    }));
  }
  while (!converting.empty()) write_oldest();
}

}  // namespace

int tokenize_command(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Reads JSON strings, one a line, from standard input and writes their token ids as JSON "
      "arrays to standard output.",
      "litelang tokenize");
  TokenizeArguments a;
  app.add_option("-m,--model,--model_path", a.model,
                 "weight file (.h5), Hugging Face folder, or tokenizer.json")
      ->type_name("")
      ->required();
  app.add_flag("--decode", a.decode, "the reverse: arrays in, strings out");
  app.add_flag("--add_special_tokens", a.add_special_tokens,
               "put around a text what the tokenizer puts around a prompt, such as <s>");
  app.add_flag("--skip_special_tokens", a.skip_special_tokens,
               "with --decode: leave out tokens such as <|im_end|>");
  if (!parse_options(app, arguments)) return static_cast<int>(ExitCode::kDone);
  Tokenizer tokenizer = load_tokenizer(a.model);
  convert_input(tokenizer, a);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
