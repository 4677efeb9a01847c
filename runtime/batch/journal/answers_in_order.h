#pragma once
// The end of a journal whose records are wanted otherwise than they came.
#include <cstdint>
#include <string>

#include "runtime/config/line_range.h"

namespace ll {

struct AnswerPlaces {
  std::string output;
  std::string errors;      // where records with an error go; empty: to the output as well
  bool is_sorted = false;  // by line of the input
};

// Copies the records of an open journal to new files OUTPUT.tmp and ERRORS.tmp, synced. Memory: 16
// bytes for each of `lines` that has a record, if sorted. Throws Error; the files are then gone.
void copy_answers(int journal, const std::string& path, const LineRange& lines,
                  const AnswerPlaces& places);

}  // namespace ll
