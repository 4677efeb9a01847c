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
  if (!in) fail_usage("{}: cannot read the configuration; check the path", path);
  return text.str();
}

}  // namespace ll
