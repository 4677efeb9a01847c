#include "runtime/batch/journal/answer_index.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "runtime/batch/journal/journal_scan.h"

namespace ll {

AnswerIndex::AnswerIndex(int fd, std::string path, const LineRange& lines)
    : fd_(fd), path_(std::move(path)), lines_(lines) {
  for_each_line(fd, path_, [&](const JournalLine& line) {
    auto head = read_record_head(line.text);
    check(head && lines_.contains(head->line), "{}:{}: is no answer of this job", path_,
          line.number);
    auto i = static_cast<size_t>(head->line - lines_.first);
    if (i >= places_.size()) places_.resize(i + 1);
    places_[i] = {line.offset, static_cast<int64_t>(line.text.size())};
  });
}

std::string AnswerIndex::record_of(int64_t line) const {
  auto i = static_cast<size_t>(line - lines_.first);
  if (i >= places_.size()) return "";
  std::string record(static_cast<size_t>(places_[i].length), '\0');
  ssize_t n = ::pread(fd_, record.data(), record.size(), places_[i].offset);
  check(n == places_[i].length, "{}: cannot read: {}", path_,
        n < 0 ? std::strerror(errno) : "it became shorter");
  return record;
}

}  // namespace ll
