#include "model/files/safetensors.h"

#include <doctest/doctest.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

RawTensors two_tensors() {
  return {{"a", {"BF16", {2, 3}, std::string(12, 'a')}}, {"b", {"F32", {2}, std::string(8, 'b')}}};
}

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}

std::string refusal(const std::string& header, uint64_t data_bytes) {
  return error_of([&] { parse_safetensors_header(header, 8 + header.size() + data_bytes, "f"); });
}

}  // namespace

TEST_CASE("safetensors: tensors of each type, empty ones and scalars") {
  TemporaryFolder folder;
  RawTensors tensors = two_tensors();
  tensors["c"] = {"F16", {1, 1, 1, 1}, "cc"};
  tensors["d"] = {"I64", {}, std::string(8, 'd')};
  tensors["e"] = {"U8", {0, 7}, ""};
  tensors["f"] = {"I32", {1}, "ffff"};
  write_text(folder / "m.safetensors", safetensors_of(tensors));
  SafetensorsFile opened = open_safetensors(folder / "m.safetensors");
  CHECK(opened.tensors.size() == 6);
  CHECK(opened.tensors.at("a").shape == Shape{2, 3});
  CHECK(opened.tensors.at("b").dtype == DType::f32);
  CHECK(opened.tensors.at("d").shape.numel() == 1);
  std::string bytes(8, '\0');
  opened.file->read(opened.tensors.at("b").offset, std::as_writable_bytes(std::span(bytes)));
  CHECK(bytes == "bbbbbbbb");
}

TEST_CASE("safetensors: lying headers are refused by tensor") {
  std::string good = entry("BF16", "[2,3]", "[0,12]");
  CHECK(refusal("{\"t\":" + good + "}", 12) == "");
  struct Row {
    std::string header, says;
  };
  auto one = [](const std::string& body) { return "{\"t\":" + body + "}"; };
  std::vector<Row> rows = {
      {one(entry("BF16", "[2,4]", "[0,12]")),
       "tensor t: has 12 bytes of data, its shape asks for 16"},
      {one(entry("BF16", "[2,3]", "[0,14]")), "tensor t: has data_offsets outside the file"},
      {one(entry("BF16", "[2,3]", "[12,0]")), "tensor t: has data_offsets outside the file"},
      {one(entry("BF16", "[2,3]", "[0]")), "tensor t: has data_offsets outside the file"},
      {one(entry("BF16", "[2,2]", "[0,8]")), "4 bytes follow the last tensor"},
      {one(entry("BF16", "[2,2]", "[4,12]")), "tensor t: its bytes leave a gap"},
      {one(entry("F8", "[12]", "[0,12]")), "tensor t: has dtype F8, which is unknown"},
      {one(entry("BOOL", "[13]", "[0,12]")),
       "tensor t: has 12 bytes of data, its shape asks for 13"},
      {one(entry("F64", "[12]", "[0,12]")),
       "tensor t: has 12 bytes of data, its shape asks for 96"},
      {one(entry("BF16", "[4294967296,4294967296,3]", "[0,12]")), "size overflows"},
      {one(entry("F32", "[9223372036854775807]", "[0,12]")), "size overflows"},
      {one(entry("BF16", "[99999999999999999999]", "[0,12]")), "is not an integer"},
      {one(entry("BF16", "[-2,3]", "[0,12]")), "tensor t, shape is negative"},
      {one(entry("BF16", "[2.0,3]", "[0,12]")), "tensor t, shape is not an integer"},
      {one(entry("BF16", "[1,1,1,2,3]", "[0,12]")), "tensor t: has more than four axes"},
      {one(entry("BF16", "[1,1,1,1,1,1,1,2,3]", "[0,12]")), "more than eight numbers"},
      {one(entry("BF16", "[[2],3]", "[0,12]")), "is a list where none may be"},
      {one(entry("BF16", "{}", "[0,12]")), "is an object where none may be"},
      {one(entry("BF16", "null", "[0,12]")), "tensor t, shape is null"},
      {one(entry("BF16", "true", "[0,12]")), "is true or false"},
      {one(R"({"dtype":"BF16","shape":[6]})"), "tensor t: lacks dtype, shape or data_offsets"},
      {one(R"({"dtype":"BF16","shape":[6],"shape":[6],"data_offsets":[0,12]})"),
       "shape comes twice"},
      {one(R"({"dtype":"BF16","dtype":"F16","shape":[6],"data_offsets":[0,12]})"),
       "dtype comes twice"},
      {one(R"({"dtype":"BF16","shape":[6],"data_offsets":[0,12],"more":"x"})"), "more is not part"},
      {one("[]"), "is a list where none may be"},
      {one("\"x\""), "is a string where none may be"},
      {"{\"t\":" + good + ",\"t\":" + good + "}", "tensor t comes twice"},
      {"{\"t\":" + good + ",\"u\":" + entry("BF16", "[1]", "[10,12]") + "}",
       "tensor u: its bytes overlap"},
      {"{\"t\":" + good, "is not valid JSON"},
      {one(good) + "x", "is not valid JSON"},
      {"[]", "is not a safetensors file"},
      {"", "is not a safetensors file"},
      {"{\"\x1b[31m\":" + good + "}", "is not valid JSON"},
      {"{\"\\u001b[31m\":" + entry("X", "[6]", "[0,12]") + "}", "tensor \\x1b[31m: has dtype X"},
      {std::string(100000, '{'), "is not valid JSON"},
      {"{\"t\":" + std::string(100000, '['), "is a list where none may be"}};
  for (const Row& row : rows) {
    std::string error = refusal(row.header, 12);
    CAPTURE(row.header.substr(0, 100));
    CAPTURE(error);
    CHECK(error.starts_with("f: "));
    CHECK(contains(error, row.says));
    CHECK_FALSE(contains(error, "\n"));
  }
}

TEST_CASE(
    "safetensors: a file cut anywhere, or with any header byte flipped, is an error or right") {
  TemporaryFolder folder;
  std::string path = folder / "m.safetensors", whole = safetensors_of(two_tensors());
  for (size_t size = 0; size < whole.size(); ++size) {
    write_text(path, whole.substr(0, size));
    CHECK(error_of([&] { open_safetensors(path); }).starts_with(path));
  }
  size_t data = whole.size() - 20;
  for (size_t at = 0; at < data; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      write_text(path, flipped);
      error_of([&] {
        for (const auto& [name, e] : open_safetensors(path).tensors)
          CHECK(e.offset + static_cast<uint64_t>(e.shape.numel()) * size_of(e.dtype) <=
                whole.size());
      });
    }
  }
}

TEST_CASE("safetensors: the length of the header is not believed") {
  TemporaryFolder folder;
  std::string path = folder / "m.safetensors";
  for (uint64_t length : {uint64_t{1} << 20, uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string file = safetensors_of(two_tensors());
    file.replace(0, 8, reinterpret_cast<const char*>(&length), 8);
    write_text(path, file);
    CHECK(error_of([&] { open_safetensors(path); }).starts_with(path));
  }
  CHECK(contains(error_of([&] { open_safetensors(folder.path()); }), "is not a regular file"));
  CHECK(contains(error_of([&] { open_safetensors(folder / "none"); }), "No such file"));
}

TEST_CASE("safetensors: an index puts each tensor into one file beside it") {
  auto parse = [](const std::string& map) {
    return error_of([&] { parse_safetensors_index("{\"weight_map\":" + map + "}", "i"); });
  };
  CHECK(parse(R"({"a": "model-1.safetensors"})") == "");
  for (const char* bad : {"../x", "/etc/passwd", "sub/x", "", "..", ".", "a\\\\b", "a\\u0000b"}) {
    CAPTURE(bad);
    CHECK(contains(parse(fmt::format(R"({{"a": "{}"}})", bad)), "tensor a: "));
  }
  CHECK(contains(parse(R"({"a": 3})"), "tensor a: its file is not a string"));
  CHECK(contains(parse("{}"), "lists no tensor"));
  CHECK(contains(parse("[]"), "has no weight_map"));
  CHECK(contains(parse("[[[[[[[[[[]]]]]]]]]]"), "nested deeper"));
  CHECK(contains(error_of([] { parse_safetensors_index("[]", "i"); }), "has no weight_map"));
  CHECK(contains(error_of([] { parse_safetensors_index("{", "i"); }), "is not valid JSON"));
}

TEST_CASE("safetensors: files and index must agree") {
  TemporaryFolder folder;
  RawTensors all = two_tensors();
  RawTensors only_a = {{"a", all["a"]}}, only_b = {{"b", all["b"]}};
  auto index = [&](const std::string& map) {
    write_text(folder / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
  };
  auto open = [&] { return error_of([&] { open_safetensors_folder(folder.path()); }); };
  CHECK(contains(open(), "has neither model.safetensors nor"));
  write_text(folder / "1.safetensors", safetensors_of(only_a));
  write_text(folder / "2.safetensors", safetensors_of(only_b));
  index(R"({"a": "1.safetensors", "b": "2.safetensors"})");
  CHECK(open_safetensors_folder(folder.path()).size() == 2);
  index(R"({"a": "1.safetensors", "b": "3.safetensors"})");
  CHECK(contains(open(), "3.safetensors: cannot be opened"));
  // What is listed and nowhere, or the other way round, may be what no model needs.
  index(R"({"a": "1.safetensors", "c": "2.safetensors"})");
  CHECK(open_safetensors_folder(folder.path()).size() == 2);
  index(R"({"a": "1.safetensors", "b": "2.safetensors"})");
  write_text(folder / "2.safetensors", safetensors_of(all));
  CHECK(contains(open(), "holds tensor a, which"));
}
