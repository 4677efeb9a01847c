#pragma once
// Files that are not what their names say.
#include <string_view>

namespace ll {

constexpr size_t kFormatBytes = 64;  // of a file's start, enough for the functions below

// Throws Error naming `path` when a file that starts like this is a Git LFS pointer.
void check_no_lfs_pointer(std::string_view start, std::string_view path);
// Throws when text that starts like this is a Git LFS pointer, compressed, or in UTF-16 or UTF-32.
void check_plain_text(std::string_view start, std::string_view path);

}  // namespace ll
