#pragma once
// What a journal holds: the records of a batch's output, one a line, of which the last may be torn.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/batch/journal/line_set.h"
#include "runtime/config/line_range.h"

namespace ll {

// A line of a file, as a view that holds until the next line is asked for.
struct JournalLine {
  int64_t number = 0;     // from 1
  int64_t offset = 0;     // of its first byte
  std::string_view text;  // without the line end
};

// The lines of an open file that have an end, in order. Memory: the longest line. Returns the
// offset behind the last. `path` is for errors.
int64_t for_each_line(int fd, const std::string& path,
                      const std::function<void(const JournalLine&)>& take);

// What a record of batch_record() or batch_error_record() says of itself; none where the text is
// no whole record.
struct RecordHead {
  int64_t line = 0;  // of the input
  bool is_error = false;
};
std::optional<RecordHead> read_record_head(std::string_view text);

struct JournalScan {
  LineSet answered;          // lines of the input
  int64_t num_errors = 0;    // answered with an error
  int64_t num_repeated = 0;  // records of lines that were answered before
  int64_t num_bytes = 0;     // of whole lines: what is behind them is torn
};

// Throws Error for a line that is no record, with its number, and for one of a line outside
// `lines`.
JournalScan scan_journal(int fd, const std::string& path, const LineRange& lines);

}  // namespace ll
