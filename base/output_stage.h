#pragma once
// Files that appear under their final names only when all of them are whole. They are written in a
// folder TARGET.tmp-PID beside the target, which commit() empties and the destructor removes; a
// process that is killed leaves that folder behind and nothing else, and the next stage of that
// target removes it.
#include <cstdint>
#include <string>
#include <vector>

namespace ll {

class OutputStage {
 public:
  // Throws when the target's folder does not exist or has no `bytes_needed` bytes free.
  OutputStage(const std::string& target, uint64_t bytes_needed);
  ~OutputStage();
  OutputStage(const OutputStage&) = delete;
  OutputStage& operator=(const OutputStage&) = delete;

  std::string path_of(const std::string& file) const;  // while it is staged
  void sync(const std::vector<std::string>& files) const;
  // Moves the files, in this order, each over the one of its name; each move is atomic. After
  // sync().
  void commit(const std::vector<std::string>& files);

 private:
  void remove_left_behind(const std::string& target) const;
  void create();

  std::string folder_, stage_;
  int lock_ = -1;  // held while this lives: the stage is in use
};

}  // namespace ll
