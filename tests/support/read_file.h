#pragma once
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace ll::test {

// All bytes of a file, of /proc as well; none where it cannot be read.
inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace ll::test
