#include "runtime/batch/journal/input_digest.h"

#include <doctest/doctest.h>

#include <utility>

#include "base/hash/sha256.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("digest: lines are counted as they are read, the last one without an end, too") {
  TemporaryFolder folder;
  using Case = std::pair<const char*, int64_t>;
  for (auto [text, lines] :
       {Case{"", 0}, {"\n", 1}, {"a", 1}, {"a\n", 1}, {"a\nb", 2}, {"\n\n", 2}}) {
    CAPTURE(text);
    write_text(folder / "in", text);
    InputDigest digest = digest_input(folder / "in");
    CHECK(digest.lines == lines);
    CHECK(digest.bytes == static_cast<int64_t>(std::string(text).size()));
    CHECK(digest.sha256 == sha256_hex(text));
  }
}

TEST_CASE("digest: of more than a block") {
  TemporaryFolder folder;
  std::string text((3 << 20) + 5, 'x');
  text[1 << 20] = '\n';
  write_text(folder / "in", text);
  CHECK(digest_input(folder / "in").sha256 == sha256_hex(text));
  CHECK(digest_input(folder / "in").lines == 2);
}
