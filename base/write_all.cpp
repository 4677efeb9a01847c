#include "base/write_all.h"

#include <unistd.h>

#include <cerrno>

namespace ll {
namespace {

// `write`: some of the first bytes, from `done` on; as write(2).
template <class Write>
bool write_in_parts(std::string_view bytes, const Write& write) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t n = write(bytes.substr(done), done);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

bool write_all(int fd, std::string_view bytes) {
  return write_in_parts(
      bytes, [&](std::string_view rest, size_t) { return ::write(fd, rest.data(), rest.size()); });
}

bool write_all_at(int fd, std::string_view bytes, int64_t offset) {
  return write_in_parts(bytes, [&](std::string_view rest, size_t done) {
    return ::pwrite(fd, rest.data(), rest.size(), offset + static_cast<int64_t>(done));
  });
}

}  // namespace ll
