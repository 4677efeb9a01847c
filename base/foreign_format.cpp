#include "base/foreign_format.h"

#include "base/check.h"

namespace ll {
namespace {

using namespace std::string_view_literals;

struct Packing {
  std::string_view start, name, unpacker;
};
constexpr Packing kPackings[] = {
    {"\x1f\x8b"sv, "gzip", "zcat"},      {"\x28\xb5\x2f\xfd"sv, "Zstandard", "zstdcat"},
    {"\xfd\x37zXZ\0"sv, "xz", "xzcat"},  {"BZh"sv, "bzip2", "bzcat"},
    {"PK\x03\x04"sv, "ZIP", "unzip -p"},
};

bool is_markup(std::string_view start) {
  for (std::string_view s : {"<!DOCTYPE"sv, "<!doctype"sv, "<html"sv, "<HTML"sv, "<?xml"sv})
    if (start.starts_with(s)) return true;
  return false;
}

// With a byte order mark, or by the zero byte beside the brace that JSON starts with.
bool is_wide(std::string_view start) {
  for (std::string_view s : {"\xff\xfe"sv, "\xfe\xff"sv, "\0\0\xfe\xff"sv, "{\0"sv, "\0{"sv})
    if (start.starts_with(s)) return true;
  return false;
}

}  // namespace

void check_no_lfs_pointer(std::string_view start, std::string_view path) {
  check(!start.starts_with("version https://git-lfs.github.com/spec/"),
        "{}: is a Git LFS pointer, not the file itself: run git lfs pull", path);
}

void check_plain_text(std::string_view start, std::string_view path) {
  check_no_lfs_pointer(start, path);
  for (const Packing& p : kPackings)
    check(!start.starts_with(p.start), "{}: is {} data, not text: unpack it, or pipe {} into -",
          path, p.name, p.unpacker);
  check(!start.starts_with("PAR1"), "{}: is Parquet data: write it as JSON, a line for each row",
        path);
  check(!is_markup(start), "{}: is HTML or XML, not JSON: is it the page of an error?", path);
  check(!is_wide(start), "{}: is in UTF-16 or UTF-32, not UTF-8: convert it with iconv -t UTF-8",
        path);
}

}  // namespace ll
