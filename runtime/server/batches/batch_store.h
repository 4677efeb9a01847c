#pragma once
// The folder of a server's files and batches (server.batch_dir): what clients send, what is
// answered, and OpenAI's object of each as JSON beside it. By any thread; what changes is on disk
// when a call returns.
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/server/batches/batch_object.h"

namespace ll {

class BatchStore {
 public:
  // Makes the folder, or reads what is in it. Throws Error when that cannot be done, or another
  // server has it.
  explicit BatchStore(std::string folder);
  ~BatchStore();
  BatchStore(const BatchStore&) = delete;
  BatchStore& operator=(const BatchStore&) = delete;

  // A name that nothing has, behind those of before in alphabetical order; prefix: "file-".
  static std::string new_id(std::string_view prefix);

  // Where the bytes of a file are, or will be.
  std::string path_of(const std::string& file) const { return folder_ + "/files/" + file; }
  std::optional<FileObject> file(const std::string& id) const;
  std::vector<FileObject> files() const;  // the newest first
  // The file at its path, whose bytes are synced, is one from now on.
  void add_file(const FileObject& file);
  // One that is there.
  void remove_file(const std::string& id);

  std::optional<BatchObject> batch(const std::string& id) const;
  std::vector<BatchObject> batches() const;  // the newest first
  void add_batch(const BatchObject& batch);
  // Changes one that is there; returns what it is then.
  BatchObject update(const std::string& id, const std::function<void(BatchObject&)>& change);
  // Not on disk.
  void set_counts(const std::string& id, int64_t completed, int64_t failed);
  // A batch that has not ended needs the file.
  bool is_in_use(const std::string& file) const;

 private:
  void lock();
  void read_objects();
  std::string batch_path(const std::string& id) const {
    return folder_ + "/batches/" + id + ".json";
  }

  std::string folder_;
  int lock_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, FileObject> files_;
  std::map<std::string, BatchObject> batches_;
};

}  // namespace ll
