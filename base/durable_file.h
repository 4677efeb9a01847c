#pragma once
// Files that outlive a crash and a power cut. Throws Error that names the path.
#include <string>
#include <string_view>

namespace ll {

// Makes a file's bytes, or a folder's names, survive a power cut.
void sync_path(const std::string& path);
// The folder that holds a path: "." for a bare name.
std::string folder_of(const std::string& path);

// The file holds the text, whole, or what it held before, whatever happens meanwhile: it is written
// as PATH.tmp, synced and renamed.
void write_durably(const std::string& path, std::string_view text);
// Moves a file whose bytes are synced over another of the same folder.
void rename_durably(const std::string& from, const std::string& to);

}  // namespace ll
