#pragma once
#include <string>
#include <string_view>

namespace ll {

// A new file under PATH.tmp, which is gone unless it is finished: PATH is what it was before, or
// whole. Throws Error that names the file; `advice` follows what could not be written.
class StagedFile {
 public:
  explicit StagedFile(const std::string& path, std::string advice = "");
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  // Gathers what is small.
  void write(std::string_view bytes);
  // All is on disk, still under PATH.tmp.
  void finish();
  // Finishes, and gives it its name.
  void commit();

 private:
  void flush();
  void check_it(bool ok) const;

  std::string path_, stage_, advice_, buffer_;
  int fd_ = -1;
};

}  // namespace ll
