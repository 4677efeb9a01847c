// A sum is done in two exchanges so that its order is the ranks': each member gets its part of
// every rank's data, adds the copies in rank order, and the parts are gathered. MPI_Allreduce
// leaves the order to the library.
#include "parallel/mpi/mpi_communicator.h"

#include <mpi.h>

#include <algorithm>
#include <vector>

#include "parallel/mpi/mpi_handle.h"
#include "parallel/shard_spec.h"

namespace ll {
namespace {

// Longer data goes in pieces: MPI counts bytes in int, and the copies of it need memory.
constexpr int64_t kPieceBytes = int64_t{16} << 20;

int int_of(size_t bytes) {
  ensure(bytes <= INT32_MAX, "collective of 2 GiB or more");
  return static_cast<int>(bytes);
}

float accumulate(float sum, float x) { return sum + x; }
float accumulate(float sum, bf16 x) { return sum + to_float(x); }
int64_t accumulate(int64_t sum, int64_t x) { return sum + x; }

template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<bf16> {
  using type = float;
};

void store(float* to, float sum) { *to = sum; }
void store(bf16* to, float sum) { *to = to_bf16(sum); }
void store(int64_t* to, int64_t sum) { *to = sum; }

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const Ops& ops, const MpiGroup& group)
      : Communicator(ops, group.rank(), group.size()), group_(group) {}

 private:
  MPI_Comm comm() const { return group_.handle().comm; }

  void do_all_reduce_sum(Stream, TensorView x) override {
    switch (x.dtype) {
      case DType::f32:
        return sum(x.as<float>(), x.numel());
      case DType::bf16:
        return sum(x.as<bf16>(), x.numel());
      case DType::i64:
        return sum(x.as<int64_t>(), x.numel());
      default:
        ensure(false, "all_reduce_sum: dtype");
    }
  }

  template <class T>
  void sum(T* data, int64_t count) {
    constexpr int64_t kPiece = kPieceBytes / static_cast<int64_t>(sizeof(T));
    for (int64_t first = 0; first < count; first += kPiece)
      sum_piece(data + first, std::min(kPiece, count - first));
  }

  template <class T>
  void sum_piece(T* data, int64_t count) {
    auto ranks = static_cast<size_t>(size());
    std::vector<int> sizes(ranks), offsets(ranks), mine_sizes(ranks), mine_offsets(ranks);
    Range mine = split(count, size(), rank());
    auto bytes = [](int64_t n) { return static_cast<int>(n * static_cast<int64_t>(sizeof(T))); };
    for (size_t r = 0; r < ranks; ++r) {
      Range part = split(count, size(), static_cast<int64_t>(r));
      sizes[r] = bytes(part.size);
      offsets[r] = bytes(part.begin);
      mine_sizes[r] = bytes(mine.size);
      mine_offsets[r] = bytes(mine.size) * static_cast<int>(r);
    }
    received_.resize(static_cast<size_t>(mine.size) * sizeof(T) * ranks);
    mpi_check(MPI_Alltoallv(data, sizes.data(), offsets.data(), MPI_BYTE, received_.data(),
                            mine_sizes.data(), mine_offsets.data(), MPI_BYTE, comm()));
    const auto* copies = reinterpret_cast<const T*>(received_.data());
    for (int64_t i = 0; i < mine.size; ++i) {
      typename Wide<T>::type total{};
      for (int64_t r = 0; r < size(); ++r) total = accumulate(total, copies[r * mine.size + i]);
      store(data + mine.begin + i, total);
    }
    mpi_check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, data, sizes.data(), offsets.data(),
                             MPI_BYTE, comm()));
  }

  void do_all_reduce_max(Stream, TensorView x) override {
    mpi_check(MPI_Allreduce(MPI_IN_PLACE, x.as<float>(), int_of(x.bytes()) / 4, MPI_FLOAT, MPI_MAX,
                            comm()));
  }

  void do_all_gather(Stream, const void* send, void* receive, size_t bytes) override {
    mpi_check(
        MPI_Allgather(send, int_of(bytes), MPI_BYTE, receive, int_of(bytes), MPI_BYTE, comm()));
  }

  void do_all_to_all(Stream, const void* send, void* receive, size_t bytes) override {
    mpi_check(
        MPI_Alltoall(send, int_of(bytes), MPI_BYTE, receive, int_of(bytes), MPI_BYTE, comm()));
  }

  MpiGroup group_;
  std::vector<std::byte> received_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const Backend& backend, const MpiGroup& group) {
  return std::make_unique<MpiCommunicator>(backend.ops, group);
}

}  // namespace ll
