// Input: the records of a recording, as words. Their checksums are made right first, or hardly any
// would be read. What is read is written again as it was, or refused in one line.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/hash/hash.h"
#include "base/write_all.h"
#include "runtime/engine/plan_check.h"
#include "runtime/engine/plan_file.h"

namespace {

constexpr int32_t kPlan = 2;
constexpr ll::PlanLimits kLimits = {.max_num_seqs = 4,
                                    .max_num_batched_tokens = 8,
                                    .max_drafts = 3,
                                    .max_draft_rows = 6,
                                    .max_length = 100,
                                    .num_pages = 10,
                                    .page_span = 16,
                                    .vocab = 50};

int32_t checksum(std::span<const int32_t> words) {
  ll::Fnv32 hash;
  for (int32_t word : words) hash.add(static_cast<uint32_t>(word));
  return static_cast<int32_t>(hash.value);
}

// A record: kind, number of words, the words, a checksum; the words of a plan end with one, too.
void mend(std::span<int32_t> words) {
  while (words.size() >= 3 && words[1] >= 0 && words.size() - 3 >= static_cast<size_t>(words[1])) {
    auto count = static_cast<size_t>(words[1]);
    if (words[0] == kPlan && count > 0) words[1 + count] = checksum(words.subspan(2, count - 1));
    words[2 + count] = checksum(words.first(2 + count));
    words = words.subspan(3 + count);
  }
}

// A file in memory that begins with a header.
class Recording {
 public:
  Recording() {
    ll::PlanFileHeader header{.version = "1", .num_ranks = 1, .num_pages = 10};
    { ll::PlanRecorder recorder(path_, header); }
    struct stat found {};
    if (fstat(fd_, &found) != 0) std::abort();
    header_bytes_ = found.st_size - 3 * static_cast<off_t>(sizeof(int32_t));  // without its end
  }
  const std::string& path() const { return path_; }
  void put(std::string_view records) {
    if (ftruncate(fd_, header_bytes_) != 0 || lseek(fd_, header_bytes_, SEEK_SET) < 0 ||
        !ll::write_all(fd_, records))
      std::abort();
  }

 private:
  int fd_ = memfd_create("recording", 0);
  std::string path_ = "/proc/self/fd/" + std::to_string(fd_);
  off_t header_bytes_ = 0;
};

void read_all(const std::string& path) {
  ll::PlanRecording recording(path);
  while (auto entry = recording.next()) {
    if (!entry->plan) continue;
    std::vector<int32_t> words = entry->plan->encode();
    if (ll::StepPlan::decode_from(words).encode() != words) std::abort();
    try {
      ll::check_plan(*entry->plan, kLimits);
    } catch (const ll::Error&) {
    }
  }
  if (recording.fault().find('\n') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Recording recording;
  std::vector<int32_t> words(size / sizeof(int32_t));
  if (!words.empty()) std::memcpy(words.data(), data, words.size() * sizeof(int32_t));
  mend(words);
  recording.put({reinterpret_cast<const char*>(words.data()), words.size() * sizeof(int32_t)});
  try {
    read_all(recording.path());
  } catch (const ll::Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
