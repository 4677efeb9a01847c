#include "base/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/check_call.h"
#include "base/staged_file.h"

namespace ll {

void sync_path(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && ::fsync(fd) == 0;
  int error = errno;
  if (fd >= 0) ::close(fd);
  check(ok, "{}: cannot be synced to disk: {}", path, std::strerror(error));
}

std::string folder_of(const std::string& path) {
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

void write_durably(const std::string& path, std::string_view text) {
  StagedFile file(path);
  file.write(text);
  file.commit();
}

void rename_durably(const std::string& from, const std::string& to) {
  check_call(::rename(from.c_str(), to.c_str()) == 0, "{}: cannot be written", to);
  sync_path(folder_of(to));
}

}  // namespace ll
