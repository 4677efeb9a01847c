#pragma once
#include <cstdint>
#include <string_view>

namespace ll {

// Writes all bytes to an open file, however the system takes them. False: it did not, errno says
// why; some of them may be there.
bool write_all(int fd, std::string_view bytes);
// The same at a place of its own, which moves no other writer's.
bool write_all_at(int fd, std::string_view bytes, int64_t offset);

}  // namespace ll
