#include "runtime/server/batches/multipart_reader.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include "base/check.h"

using namespace ll;

namespace {

// The parts of a body that comes in pieces of `step` bytes: "name(filename)=text;".
std::string read(const std::string& body, std::string_view boundary, size_t step) {
  std::string all;
  MultipartReader reader(boundary, {.begin =
                                        [&](const FormPart& part) {
                                          all += fmt::format(
                                              "{}{}{}=", all.empty() ? "" : ";", part.name,
                                              part.filename ? "(" + *part.filename + ")" : "");
                                        },
                                    .take = [&](std::string_view bytes) { all += bytes; }});
  for (size_t at = 0; at < body.size(); at += step)
    reader.push(std::string_view(body).substr(at, step));
  reader.finish();
  return all;
}

void check_parts(const std::string& body, const std::string& wanted) {
  for (size_t step : {1, 2, 3, 7, 100'000}) {
    CAPTURE(step);
    CHECK(read(body, "xYz", step) == wanted);
  }
}

}  // namespace

TEST_CASE("multipart: parts, their names and bytes, however they come") {
  check_parts(
      "--xYz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
      "--xYz\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name=file; "
      "filename=\"a \\\"b\\\".jsonl\"\r\n\r\n{}\r\n\r\n--xY\r\n--\r\n--xYz--\r\nbehind",
      "purpose=batch;file(a \"b\".jsonl)={}\r\n\r\n--xY\r\n--");
  check_parts("before\r\n--xYz  \r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--xYz--",
              "a=");
  check_parts("--xYz--", "");
  std::string many(300'000, '-');
  check_parts("--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\n" + many + "\r\n--xYz--",
              "a=" + many);
}

TEST_CASE("multipart: what is no form is refused") {
  for (const char* body :
       {"", "--xYz", "--xYz\r\n", "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\ntext",
        "--xYz\r\n\r\n\r\ntext\r\n--xYz--", "--xYz??\r\n",
        "--xYz\r\nContent-Disposition: form-data\r\n\r\n\r\n--xYz--"}) {
    CAPTURE(body);
    CHECK_THROWS_AS(read(body, "xYz", 3), Error);
  }
  CHECK_THROWS_AS(read("--xYz\r\n" + std::string(20'000, 'a'), "xYz", 1000), Error);
}

TEST_CASE("multipart: the boundary of a content type") {
  CHECK(MultipartReader::boundary_of("multipart/form-data; boundary=abc") == "abc");
  CHECK(MultipartReader::boundary_of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"") ==
        "a b");
  for (const char* type : {"", "application/json", "multipart/form-data",
                           "multipart/form-data; boundary=", "multipart/mixed; boundary=a"})
    CHECK_THROWS_AS(MultipartReader::boundary_of(type), Error);
}
