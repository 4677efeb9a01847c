#include "model/files/file_hasher.h"

#include <algorithm>
#include <filesystem>

#include "base/hash/sha256.h"
#include "base/input_file.h"

namespace ll {

namespace {
constexpr uint64_t kPieceBytes = 1 << 20;
}

FileHasher::FileHasher(std::vector<std::string> paths) : paths_(std::move(paths)) {
  for (const std::string& path : paths_) total_bytes_ += std::filesystem::file_size(path);
  thread_ = std::thread([this] {
    try {
      run();
    } catch (...) {
      error_ = std::current_exception();
    }
    finished_ = true;
  });
}

FileHasher::~FileHasher() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

const std::map<std::string, std::string>& FileHasher::hashes() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(error_);
  return hashes_;
}

void FileHasher::run() {
  std::vector<std::byte> piece(kPieceBytes);
  for (const std::string& path : paths_) {
    InputFile file(path);
    Sha256 hash;
    for (uint64_t at = 0; at < file.size() && !stop_; at += kPieceBytes) {
      auto part = std::span(piece).first(std::min(kPieceBytes, file.size() - at));
      file.read(at, part);
      hash.update(part);
      done_bytes_ += part.size();
    }
    hashes_[std::filesystem::path(path).filename()] = hash.hex();
  }
}

}  // namespace ll
