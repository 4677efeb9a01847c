#include "model/shard/weight_reader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace ll {
namespace {

// Rows [begin, begin + count) of one placement: what one staging buffer takes.
struct Stretch {
  size_t placement;
  int64_t begin, count;
};

std::vector<Stretch> cut(const WeightPlacements& placements, DType dtype, size_t staging_bytes) {
  std::vector<Stretch> stretches;
  for (size_t i = 0; i < placements.size(); ++i) {
    const WeightPlacement& p = placements[i];
    auto row_bytes = static_cast<int64_t>(static_cast<size_t>(p.cols) * size_of(dtype));
    // Even, so that rows that stand in pairs stay together.
    int64_t step = std::max<int64_t>(2, static_cast<int64_t>(staging_bytes) / row_bytes / 2 * 2);
    for (int64_t begin = 0; begin < p.rows; begin += step)
      stretches.push_back({i, begin, std::min(step, p.rows - begin)});
  }
  return stretches;
}

// Where rows come from, and who is shown them.
struct Source {
  const WeightStore& store;
  DType dtype;
  TileSums* sums;  // null: nobody

  void read(const std::string& name, const ShardSpec& part, std::byte* out) const {
    store.read(name, part, dtype, out, sums);
  }
};

// Fills every second row of `out`.
void read_alternate(const Source& source, const std::string& name, const ShardSpec& part,
                    std::byte* out) {
  size_t row_bytes = static_cast<size_t>(part.cols.size) * size_of(source.dtype),
         rows = static_cast<size_t>(part.rows.size);
  std::vector<std::byte> half(rows * row_bytes);
  source.read(name, part, half.data());
  for (size_t r = 0; r < rows; ++r)
    std::memcpy(out + 2 * r * row_bytes, half.data() + r * row_bytes, row_bytes);
}

// `rows` of a piece as they are stored.
void read_piece(const Source& source, const WeightPlacement::Piece& piece, Range rows,
                std::byte* out) {
  ShardSpec part = piece.part;
  if (piece.turned == 0) {
    part.rows = {part.rows.begin + rows.begin, rows.size};
    return source.read(piece.name, part, out);
  }
  size_t row_bytes = static_cast<size_t>(part.cols.size) * size_of(source.dtype);
  for (int64_t row = rows.begin; row < rows.end();) {  // head by head; all are even
    int64_t within = row % piece.turned, count = std::min(piece.turned - within, rows.end() - row);
    for (int64_t half = 0; half < 2; ++half) {
      part.rows = {piece.part.rows.begin + row - within + (half * piece.turned + within) / 2,
                   count / 2};
      read_alternate(source, piece.name, part,
                     out + static_cast<size_t>(row - rows.begin + half) * row_bytes);
    }
    row += count;
  }
}

// Fills `out` with the stretch's rows.
void fill_stretch(const Source& source, const WeightPlacement& p, const Stretch& stretch,
                  std::byte* out) {
  size_t row_bytes = static_cast<size_t>(p.cols) * size_of(source.dtype);
  if (p.alternate()) {
    for (size_t b = 0; b < 2; ++b) {
      ShardSpec part = p.pieces[b].part;
      part.rows = {part.rows.begin + stretch.begin / 2, stretch.count / 2};
      read_alternate(source, p.pieces[b].name, part, out + b * row_bytes);
    }
    return;
  }
  int64_t row = 0;  // of the placement, where the piece starts
  for (const WeightPlacement::Piece& piece : p.pieces) {
    int64_t from = std::max(row, stretch.begin),
            to = std::min(row + piece.part.rows.size, stretch.begin + stretch.count);
    if (from < to)
      read_piece(source, piece, {from - row, to - from},
                 out + static_cast<size_t>(from - stretch.begin) * row_bytes);
    row += piece.part.rows.size;
  }
}

// Staging buffers on their way from a reader to the device and back.
class Staging {
 public:
  Staging(const Backend& backend, size_t count, size_t bytes) : backend_(backend) {
    for (size_t i = 0; i < count; ++i) {
      memory_.push_back(static_cast<std::byte*>(backend.device.alloc_host(bytes)));
      free_.push_back(memory_.back());
    }
  }
  ~Staging() {
    for (std::byte* p : memory_) backend_.device.free_host(p);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // The number of the next stretch and a buffer for it; null when all are taken or a reader failed.
  // Both at once: a reader that held a stretch without a buffer could starve the one that is waited
  // for.
  std::byte* next(size_t num_stretches, size_t& stretch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || next_ == num_stretches || !free_.empty(); });
    if (error_ || next_ == num_stretches) return nullptr;
    stretch = next_++;
    std::byte* buffer = free_.back();
    free_.pop_back();
    return buffer;
  }
  void give_back(std::byte* buffer) {
    std::lock_guard lock(mutex_);
    free_.push_back(buffer);
    changed_.notify_all();
  }
  void fill(size_t stretch, std::byte* buffer) {
    std::lock_guard lock(mutex_);
    filled_[stretch] = buffer;
    changed_.notify_all();
  }
  void fail(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }
  std::byte* wait_filled(size_t stretch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || filled_.contains(stretch); });
    if (error_) std::rethrow_exception(error_);
    std::byte* buffer = filled_.extract(stretch).mapped();
    return buffer;
  }

 private:
  const Backend& backend_;
  std::vector<std::byte*> memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte*> free_;
  std::map<size_t, std::byte*> filled_;
  size_t next_ = 0;
  std::exception_ptr error_;
};

// The copy of one staging buffer that the device may still be at.
class CopyInFlight {
 public:
  CopyInFlight(const Backend& backend, Stream stream, Staging& staging)
      : backend_(backend),
        stream_(stream),
        staging_(staging),
        done_(backend.device.create_event()) {}
  ~CopyInFlight() {
    if (buffer_) backend_.device.synchronize(stream_);
    backend_.device.destroy_event(done_);
  }
  CopyInFlight(const CopyInFlight&) = delete;
  CopyInFlight& operator=(const CopyInFlight&) = delete;

  void start(void* to, std::byte* buffer, size_t bytes) {
    finish();
    backend_.device.copy(stream_, to, buffer, bytes);
    backend_.device.record(done_, stream_);
    buffer_ = buffer;
  }
  void finish() {
    if (!buffer_) return;
    backend_.device.wait_host(done_);
    staging_.give_back(std::exchange(buffer_, nullptr));
  }

 private:
  const Backend& backend_;
  Stream stream_;
  Staging& staging_;
  Event done_;
  std::byte* buffer_ = nullptr;
};

// Joins its threads however the scope is left.
class Readers {
 public:
  explicit Readers(Staging& staging) : staging_(staging) {}
  ~Readers() {
    staging_.fail(std::make_exception_ptr(Error("reading stopped")));
    for (std::thread& t : threads_) t.join();
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  void start(int count, const std::function<void()>& work) {
    for (int i = 0; i < count; ++i) threads_.emplace_back(work);
  }

 private:
  Staging& staging_;
  std::vector<std::thread> threads_;
};

}  // namespace

void WeightReader::read(const WeightPlacements& placements,
                        const std::function<void(size_t, Tensor)>& done,
                        const LoadProgress& progress) {
  std::vector<Stretch> stretches = cut(placements, dtype_, staging_bytes_);
  size_t largest = 1, total = 0, copied = 0;
  for (const Stretch& s : stretches) {
    size_t bytes = static_cast<size_t>(s.count * placements[s.placement].cols) * size_of(dtype_);
    largest = std::max(largest, bytes);
    total += bytes;
  }
  TileSums sums;
  Source source = {store_, dtype_, verifies_ ? &sums : nullptr};
  Staging staging(backend_, static_cast<size_t>(num_threads_) + 2, largest);
  Readers readers(staging);
  readers.start(num_threads_, [&] {
    size_t i = 0;
    while (std::byte* buffer = staging.next(stretches.size(), i)) {
      try {
        fill_stretch(source, placements[stretches[i].placement], stretches[i], buffer);
        staging.fill(i, buffer);
      } catch (...) {
        staging.fail(std::current_exception());
      }
    }
  });

  CopyInFlight copy(backend_, stream_, staging);
  Tensor target;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const Stretch& s = stretches[i];
    const WeightPlacement& p = placements[s.placement];
    if (s.begin == 0) target = natural_tensor(p, dtype_, backend_.device);
    std::byte* buffer = staging.wait_filled(i);
    size_t bytes = static_cast<size_t>(s.count * p.cols) * size_of(dtype_);
    copy.start(target.view().rows(s.begin, s.count).data, buffer, bytes);
    if (s.begin + s.count == p.rows) done(s.placement, std::exchange(target, {}));
    copied += bytes;
    if (progress) progress(copied, total);
  }
  copy.finish();
  backend_.device.synchronize(stream_);
}

}  // namespace ll
