#pragma once
// A file of the store while a client sends it, as a form with the fields `purpose` and `file`.
#include <string>
#include <string_view>

#include "runtime/server/batches/batch_store.h"
#include "runtime/server/batches/multipart_reader.h"

namespace ll {

class FileUpload {
 public:
  // The store outlives this. Throws Error for what is no form.
  FileUpload(BatchStore& store, std::string_view content_type);
  // Nothing is left of a file that was not finished.
  ~FileUpload();
  FileUpload(const FileUpload&) = delete;
  FileUpload& operator=(const FileUpload&) = delete;

  // Bytes of the body. What is wrong shows at the end.
  void take(std::string_view bytes);
  // The body is whole: the file, on disk. Throws Error.
  FileObject finish();

 private:
  enum class Field { kOther, kPurpose, kFile };

  void begin(const FormPart& part);
  void add(std::string_view bytes);

  BatchStore& store_;
  FileObject file_;
  std::string stage_;  // path of what has come
  int fd_ = -1;
  Field field_ = Field::kOther;
  std::string error_;
  MultipartReader reader_;
};

}  // namespace ll
