#include "runtime/server/batches/file_upload.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/check.h"
#include "base/durable_file.h"
#include "base/printable.h"
#include "base/write_all.h"

namespace ll {
namespace {

constexpr size_t kMaxNameBytes = 512;

}  // namespace

FileUpload::FileUpload(BatchStore& store, std::string_view content_type)
    : store_(store),
      file_{.id = BatchStore::new_id("file-")},
      stage_(store.path_of(file_.id) + ".upload"),
      reader_(MultipartReader::boundary_of(content_type),
              {.begin = [this](const FormPart& part) { begin(part); },
               .take = [this](std::string_view bytes) { add(bytes); }}) {}

FileUpload::~FileUpload() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(stage_.c_str());
}

void FileUpload::take(std::string_view bytes) {
  if (!error_.empty()) return;
  try {
    reader_.push(bytes);
  } catch (const Error& e) {
    error_ = e.what();
  }
}

void FileUpload::begin(const FormPart& part) {
  field_ = part.name == "purpose" ? Field::kPurpose
           : part.name == "file"  ? Field::kFile
                                  : Field::kOther;
  if (field_ != Field::kFile) return;
  check(fd_ < 0, "file: one at a time");
  file_.filename = part.filename.value_or("");
  check(!file_.filename.empty() && file_.filename.size() <= kMaxNameBytes, "file: has no filename");
  fd_ = ::open(stage_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(fd_ >= 0, "file: cannot be stored: {}", std::strerror(errno));
}

void FileUpload::add(std::string_view bytes) {
  if (field_ == Field::kPurpose) {
    file_.purpose += bytes;
    check(file_.purpose.size() <= kMaxNameBytes, "purpose: is too long");
  }
  if (field_ != Field::kFile) return;
  file_.bytes += static_cast<int64_t>(bytes.size());
  check(write_all(fd_, bytes), "file: cannot be stored: {}", std::strerror(errno));
}

FileObject FileUpload::finish() {
  check(error_.empty(), "{}", error_);
  reader_.finish();
  check(file_.purpose == "batch", "purpose: must be batch, not {}", printable(file_.purpose, 40));
  check(fd_ >= 0, "file: is missing");
  bool is_synced = ::fsync(fd_) == 0 && ::close(std::exchange(fd_, -1)) == 0;
  check(is_synced, "file: cannot be stored: {}", std::strerror(errno));
  rename_durably(stage_, store_.path_of(file_.id));
  file_.created_at = static_cast<int64_t>(std::time(nullptr));
  store_.add_file(file_);
  return file_;
}

}  // namespace ll
