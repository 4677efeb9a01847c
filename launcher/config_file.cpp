#include "launcher/config_file.h"

#include <fstream>
#include <sstream>

#include "base/check.h"

namespace ll {

std::string read_config_file(const std::string& path) {
  if (path.empty()) return "";
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  bool is_descriptor = path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
  if (!in)
    fail_usage("{}: cannot read the configuration; {}", path,
               is_descriptor ? "mpirun hands no descriptors on: write it to a file, or start "
                               "litelang batch, which reads it first"
                             : "check the path");
  return text.str();
}

}  // namespace ll
