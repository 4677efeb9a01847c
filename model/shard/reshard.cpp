// Both sides work out who sends which rectangle of which tensor from the two grids alone, so that
// one all-to-all a matrix moves them, without a word about what is in it. Where several
// ranks hold the same piece one sends it; a rank that holds what it needs sends it to itself.
#include "model/shard/reshard.h"

#include <algorithm>

namespace ll {
namespace {

Range intersection(Range a, Range b) {
  int64_t begin = std::max(a.begin, b.begin), end = std::min(a.end(), b.end());
  return {begin, std::max<int64_t>(0, end - begin)};
}

// One matrix or vector as every rank holds it.
using Holders = std::vector<const WeightPlacement*>;

std::vector<WeightPlacements> placements_of_all(const ModelConfig& config, const GridShape& grid) {
  std::vector<WeightPlacements> list;
  for (int rank = 0; rank < grid.num_ranks(); ++rank)
    list.push_back(weight_placements(config, shard_of(config, grid, place_of(grid, rank))));
  return list;
}

// A part of piece `piece`, in the coordinates of the file's tensor. Those of q and k are
// whole heads, so that the order of the rows inside a head does not matter.
struct Rectangle {
  size_t piece;
  Range rows, cols;
  int64_t size() const { return rows.size * cols.size; }
};

const ShardSpec& part_of(const Holders& holders, int rank, size_t piece) {
  return holders[static_cast<size_t>(rank)]->pieces[piece].part;
}

// Who sends what `holder` has of a piece to `receiver`.
int sender_of(const Holders& old, int holder, int receiver, size_t piece) {
  const ShardSpec& part = part_of(old, holder, piece);
  if (part_of(old, receiver, piece) == part) return receiver;
  int first = 0;
  while (!(part_of(old, first, piece) == part)) ++first;
  return first;
}

// What `sender` sends to `receiver`.
std::vector<Rectangle> rectangles_between(const Holders& old, const Holders& fresh, int sender,
                                          int receiver) {
  std::vector<Rectangle> list;
  for (size_t p = 0; p < old[0]->pieces.size(); ++p) {
    if (sender_of(old, sender, receiver, p) != sender) continue;
    const ShardSpec &have = part_of(old, sender, p), &want = part_of(fresh, receiver, p);
    Rectangle r{p, intersection(have.rows, want.rows), intersection(have.cols, want.cols)};
    if (r.size() > 0) list.push_back(r);
  }
  return list;
}

// A rectangle inside a rank's tensor: rows of a view, and the column it begins at.
struct Place {
  TensorView rows;
  int64_t column;
};
Place place_in(const WeightPlacement& p, TensorView natural, const Rectangle& r) {
  const ShardSpec& part = p.pieces[r.piece].part;
  int64_t row = r.rows.begin - part.rows.begin, column = r.cols.begin - part.cols.begin;
  if (p.alternate()) {  // row r of each piece stands in line r, one piece behind the other
    auto count = static_cast<int64_t>(p.pieces.size());
    TensorView lines = natural.reshaped({p.rows / count, count * p.cols});
    return {lines.rows(row, r.rows.size), static_cast<int64_t>(r.piece) * p.cols + column};
  }
  for (size_t i = 0; i < r.piece; ++i) row += p.pieces[i].part.rows.size;
  return {natural.reshaped({p.rows, p.cols}).rows(row, r.rows.size), column};
}

class Exchange {
 public:
  Exchange(const Backend& backend, Communicator& comm, Stream stream)
      : backend_(backend), comm_(comm), stream_(stream) {}

  // Fills `to` from all ranks' `from`.
  void run(const Holders& old, const Holders& fresh, TensorView from, TensorView to) {
    int64_t largest = 0;
    for (int s = 0; s < comm_.size(); ++s)
      for (int r = 0; r < comm_.size(); ++r)
        largest = std::max(largest, total(rectangles_between(old, fresh, s, r)));
    Tensor send(backend_.device, from.dtype, {comm_.size(), largest}),
        receive(backend_.device, from.dtype, {comm_.size(), largest});
    auto me = static_cast<size_t>(comm_.rank());
    for (int r = 0; r < comm_.size(); ++r)
      for_each(rectangles_between(old, fresh, comm_.rank(), r), send.view().rows(r, 1),
               [&](const Rectangle& r, TensorView packed) {
                 Place at = place_in(*old[me], from, r);
                 backend_.ops.copy_columns(stream_, packed, 0, at.rows, at.column, r.cols.size);
               });
    comm_.all_to_all(stream_, send.view().data, receive.view().data, send.bytes() / ranks());
    int64_t filled = 0;
    for (int s = 0; s < comm_.size(); ++s)
      for_each(rectangles_between(old, fresh, s, comm_.rank()), receive.view().rows(s, 1),
               [&](const Rectangle& r, TensorView packed) {
                 Place at = place_in(*fresh[me], to, r);
                 backend_.ops.copy_columns(stream_, at.rows, at.column, packed, 0, r.cols.size);
                 filled += r.size();
               });
    ensure(filled == to.numel(), "reshard: rectangles do not make up the shard");
    backend_.device.synchronize(stream_);  // before the buffers go
  }

 private:
  size_t ranks() const { return static_cast<size_t>(comm_.size()); }
  static int64_t total(const std::vector<Rectangle>& list) {
    int64_t sum = 0;
    for (const Rectangle& r : list) sum += r.size();
    return sum;
  }
  // With each rectangle's place in a buffer, one behind the other.
  template <class Visit>
  static void for_each(const std::vector<Rectangle>& list, TensorView buffer, Visit&& visit) {
    int64_t at = 0;
    for (const Rectangle& r : list) {
      visit(r, buffer.reshaped({buffer.numel()})
                   .rows(at, r.size())
                   .reshaped({r.rows.size, r.cols.size}));
      at += r.size();
    }
  }

  const Backend& backend_;
  Communicator& comm_;
  Stream stream_;
};

}  // namespace

DecoderWeights reshard_weights(const ModelConfig& config, const GridShape& from,
                               const GridShape& to, DecoderWeights weights, const Backend& backend,
                               Communicator& comm, Stream stream) {
  ensure(from.num_ranks() == comm.size() && to.num_ranks() == comm.size(), "reshard: ranks");
  std::vector<WeightPlacements> old_placements = placements_of_all(config, from),
                                new_placements = placements_of_all(config, to);
  auto holders = [](const std::vector<WeightPlacements>& of_ranks, size_t i) {
    Holders list;
    for (const WeightPlacements& p : of_ranks) list.push_back(&p[i]);
    return list;
  };
  auto me = static_cast<size_t>(comm.rank());
  if (config.tie_word_embeddings) weights.lm_head = {};
  DecoderWeights result = no_weights(config, weights.dtype);
  Exchange exchange(backend, comm, stream);
  for (size_t i = 0; i < new_placements[me].size(); ++i) {
    const WeightPlacement& p = new_placements[me][i];
    Tensor have = take_weight(weights, old_placements[me][i], backend.ops, stream),
           natural = natural_tensor(p, result.dtype, backend.device);
    exchange.run(holders(old_placements, i), holders(new_placements, i), have, natural);
    put_weight(result, p, std::move(natural), backend.ops, stream);
  }
  backend.device.synchronize(stream);
  tie_head(result, config);
  return result;
}

}  // namespace ll
