#pragma once
// Answers from rank 0 to a descriptor of this process, past mpirun: that would take them all in,
// however slow the reader, and say nothing of those it cannot write.
#include <optional>
#include <string>
#include <thread>

namespace ll {

class AnswerPipe {
 public:
  // What comes is written to `to`, an open descriptor, which `name` names in errors. While this
  // lives the environment tells a rank on this host where to write (kStandardOutputVariable of
  // base/output_file.h). Throws Error when there is no pipe to be had.
  AnswerPipe(int to, std::string name);
  ~AnswerPipe();
  AnswerPipe(const AnswerPipe&) = delete;
  AnswerPipe& operator=(const AnswerPipe&) = delete;

  // After the ranks have ended: true when all that came was written. Throws Error that says why
  // not, unless the reader at the other end had read enough and closed it.
  bool finish();

 private:
  void copy();

  int to_;
  std::string name_;
  int read_end_ = -1, write_end_ = -1;
  int reason_ = 0;  // errno of what could not be written
  std::thread thread_;
};

}  // namespace ll
