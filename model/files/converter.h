#pragma once
// From a Hugging Face model folder to a weight file.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ll {

struct ConvertProgress {
  std::string_view phase;  // "writing", "hashing" (what is left of it), "syncing", "verifying"
  uint64_t done = 0, total = 0;  // bytes
};

struct ConvertOptions {
  uint64_t shard_size = 0;  // split into files of up to so many bytes; 0: one file
  bool verify = false;      // compare what the disk holds with the source before the file appears
  bool overwrite = false;   // an existing target is replaced
  // Called every few megabytes on the caller's thread. What it throws ends the conversion cleanly.
  std::function<void(const ConvertProgress&)> progress;
};

struct ConvertReport {
  int64_t num_tensors = 0;
  int64_t num_files = 0;
  uint64_t bytes = 0;                   // of the tensors
  std::vector<std::string> notes = {};  // what a user should know of the source
};

// Writes the model in `source`, a Hugging Face folder (or a weight file, to split or join it), to
// `target`, a name that ends in .h5. Nothing appears under that name unless all of it is there; on
// an error nothing is left behind. The same source gives the same bytes. Throws Error, too, where
// the model's tokenizer is none that litelang knows.
ConvertReport convert(const std::string& source, const std::string& target,
                      const ConvertOptions& options);

}  // namespace ll
