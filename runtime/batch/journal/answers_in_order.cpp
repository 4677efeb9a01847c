#include "runtime/batch/journal/answers_in_order.h"

#include <optional>

#include "base/staged_file.h"
#include "runtime/batch/journal/answer_index.h"
#include "runtime/batch/journal/journal_scan.h"

namespace ll {
namespace {

constexpr const char* kAdvice = "; all answers are in the journal: make room and run again";

class Copies {
 public:
  explicit Copies(const AnswerPlaces& places) : output_(places.output, kAdvice) {
    if (!places.errors.empty()) errors_.emplace(places.errors, kAdvice);
  }
  void add(std::string_view record, bool is_error) {
    StagedFile& file = is_error && errors_ ? *errors_ : output_;
    file.write(record);
    file.write("\n");
  }
  void finish() {
    output_.finish();
    if (errors_) errors_->finish();
  }

 private:
  StagedFile output_;
  std::optional<StagedFile> errors_;
};

void copy_sorted(int journal, const std::string& path, const LineRange& lines, Copies& to) {
  AnswerIndex index(journal, path, lines);
  for (int64_t line = lines.first; line <= index.last_line(); ++line)
    if (std::string record = index.record_of(line); !record.empty())
      to.add(record, read_record_head(record).value().is_error);
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
