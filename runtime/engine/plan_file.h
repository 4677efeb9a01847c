#pragma once
// A recording: the plans that an engine ran, and the tokens they drew. It is 16 bytes "litelang
// plans 1", and records of int32 words as they lie in the memory of the machine: a kind, a number
// of words, those words, and FNV-1a of all before. A record is one write, before the step is run:
// whatever ends the program then, its last plan is there.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/input_file.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

// What a recording was made of, and is run with.
struct PlanFileHeader {
  std::string version;     // of the program
  std::string model;       // its fingerprint
  std::string model_path;  // for messages
  std::string grid;        // for messages
  int64_t num_ranks = 0;   // of all replicas
  int64_t num_pages = 0;   // KV pages of a rank
  // Keys of the configuration, with values that read_config() takes.
  std::vector<std::pair<std::string, std::string>> settings;

  // As JSON. parse() throws Error that begins with the path.
  std::string text() const;
  static PlanFileHeader parse(std::string_view text, const std::string& path);
};

class PlanRecorder {
 public:
  // Replaces a recording, and throws Error for any other file that is there.
  PlanRecorder(std::string path, const PlanFileHeader& header);
  // Marks the end, unless the program is ending by an exception.
  ~PlanRecorder();
  PlanRecorder(const PlanRecorder&) = delete;
  PlanRecorder& operator=(const PlanRecorder&) = delete;

  // Before the plan is run. Throws Error when it cannot be written.
  void add(const StepPlan& plan);
  // What a plan drew; written with the next.
  void add(int32_t step, std::span<const int32_t> tokens);

 private:
  void put(int32_t kind, std::span<const int32_t> words);
  void flush();

  std::string path_;
  int fd_ = -1;
  std::vector<int32_t> buffer_;
};

class PlanRecording {
 public:
  // Throws Error when the file is no recording.
  explicit PlanRecording(const std::string& path);

  const PlanFileHeader& header() const { return header_; }

  // A plan, or what one drew.
  struct Entry {
    std::optional<StepPlan> plan;
    int32_t step = 0;
    std::vector<int32_t> tokens;
  };
  // Nothing: there is no more that can be read.
  std::optional<Entry> next();
  // Why there is no more: empty for a recording that came to its end.
  const std::string& fault() const { return fault_; }
  bool is_torn() const { return is_torn_; }  // by a fault of the file itself

 private:
  std::optional<int32_t> read_record(std::vector<int32_t>& words);
  std::nullopt_t tear(const std::string& how);

  InputFile file_;
  uint64_t at_ = 0;
  PlanFileHeader header_;
  int32_t last_step_ = 0;
  std::string fault_;
  bool has_ended_ = false, is_torn_ = false;
};

// FILE of the first replica, FILE.2 of the third.
std::string recording_of(const std::string& path, int replica);

}  // namespace ll
