#include "runtime/batch/answers_in_order.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "runtime/batch/journal_scan.h"

namespace ll {
namespace {

// A new file under PATH.tmp, gone unless it is finished.
class Copy {
 public:
  explicit Copy(const std::string& path) : path_(path + ".tmp") {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    check_it(fd_ >= 0);
  }
  ~Copy() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  void add(std::string_view line) {
    buffer_.append(line) += '\n';
    if (buffer_.size() >= kBufferBytes) flush();
  }
  void finish() {
    flush();
    check_it(::fsync(fd_) == 0);
    int fd = std::exchange(fd_, -1);
    check_it(::close(fd) == 0);
  }

 private:
  static constexpr size_t kBufferBytes = size_t{1} << 20;

  void check_it(bool ok) const {
    check(ok, "{}: cannot write: {}; all answers are in the journal: make room and run again",
          path_, std::strerror(errno));
  }
  void flush() {
    for (std::string_view rest = buffer_; !rest.empty();) {
      ssize_t n = ::write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      check_it(n > 0);
      rest.remove_prefix(static_cast<size_t>(n));
    }
    buffer_.clear();
  }

  std::string path_, buffer_;
  int fd_ = -1;
};

class Copies {
 public:
  explicit Copies(const AnswerPlaces& places) : output_(places.output) {
    if (!places.errors.empty()) errors_.emplace(places.errors);
  }
  void add(std::string_view record, bool is_error) {
    (is_error && errors_ ? *errors_ : output_).add(record);
  }
  void finish() {
    output_.finish();
    if (errors_) errors_->finish();
  }

 private:
  Copy output_;
  std::optional<Copy> errors_;
};

struct Place {
  int64_t offset = 0;
  int64_t length = 0;  // 0: the line has no record
};

void copy_sorted(int journal, const std::string& path, const LineRange& lines, Copies& to) {
  std::vector<Place> index;
  for_each_line(journal, path, [&](const JournalLine& line) {
    auto i = static_cast<size_t>(read_record_head(line.text).value().line - lines.first);
    if (i >= index.size()) index.resize(i + 1);
    index[i] = {line.offset, static_cast<int64_t>(line.text.size())};
  });
  std::string record;
  for (const Place& place : index) {
    if (place.length == 0) continue;
    record.resize(static_cast<size_t>(place.length));
    ssize_t n = ::pread(journal, record.data(), record.size(), place.offset);
    check(n == place.length, "{}: cannot read: {}", path,
          n < 0 ? std::strerror(errno) : "it became shorter");
    to.add(record, read_record_head(record).value().is_error);
  }
}

}  // namespace

void copy_answers(int journal, const std::string& path, const LineRange& lines,
                  const AnswerPlaces& places) {
  Copies to(places);
  if (places.is_sorted)
    copy_sorted(journal, path, lines, to);
  else
    for_each_line(journal, path, [&](const JournalLine& line) {
      to.add(line.text, read_record_head(line.text).value().is_error);
    });
  to.finish();
}

}  // namespace ll
