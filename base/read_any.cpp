#include "base/read_any.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/check_call.h"
#include "base/input_file.h"

namespace ll {

std::string read_any(const std::string& path, uint64_t max_bytes) {
  std::error_code ignored;
  auto type = std::filesystem::status(path, ignored).type();
  bool is_stream = type == std::filesystem::file_type::fifo ||
                   type == std::filesystem::file_type::character ||
                   type == std::filesystem::file_type::socket;
  if (!is_stream) return InputFile(path).read_all(max_bytes);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                       &std::fclose);
  check_call(file != nullptr, "{}: cannot be opened", path);
  std::string text;
  char bytes[65536];
  while (size_t n = std::fread(bytes, 1, sizeof bytes, file.get())) {
    text.append(bytes, n);
    check(text.size() <= max_bytes, "{}: has more than the {} bytes such a file may have", path,
          max_bytes);
  }
  check_call(std::ferror(file.get()) == 0, "{}: cannot be read", path);
  return text;
}

}  // namespace ll
