// Both sides work out who sends which rectangle of which tensor from the two grids alone, so that
// one all-to-all a matrix moves them, without a word about what is in it. Of ranks that hold the
// same block one sends it; a rank that holds what it needs sends it to itself.
#include "model/shard/reshard.h"

#include <algorithm>

#include "model/shard/weight_visit.h"

namespace ll {
namespace {

Range intersection(Range a, Range b) {
  int64_t begin = std::max(a.begin, b.begin), end = std::min(a.end(), b.end());
  return {begin, std::max<int64_t>(0, end - begin)};
}

// One matrix as every rank holds it.
using Holders = std::vector<const WeightPlacement*>;

std::vector<Holders> holders_of_all(const std::vector<WeightPlacements>& of_ranks) {
  std::vector<Holders> all;
  for (const WeightPlacements& p : of_ranks) {
    DecoderWeights unused;
    size_t i = 0;
    for_each_placement(p, unused, [&](const WeightPlacement& matrix, PackedWeight*, Tensor*) {
      if (all.size() == i) all.emplace_back();
      all[i++].push_back(&matrix);
    });
  }
  return all;
}

std::vector<WeightPlacements> placements_of_all(const ModelConfig& config, const GridShape& grid) {
  std::vector<WeightPlacements> list;
  for (int rank = 0; rank < grid.num_ranks(); ++rank)
    list.push_back(weight_placements(config, shard_of(config, grid, place_of(grid, rank))));
  return list;
}

// A rectangle of block `block`, in the coordinates of the file's tensor. Of q and k these are whole
// heads, so that the order of the rows inside a head does not matter.
struct Piece {
  size_t block;
  Range rows, cols;
  int64_t size() const { return rows.size * cols.size; }
};

const ShardSpec& part_of(const Holders& holders, int rank, size_t block) {
  return holders[static_cast<size_t>(rank)]->blocks[block].part;
}

// Who sends what `holder` has of a block to `receiver`.
int sender_of(const Holders& old, int holder, int receiver, size_t block) {
  const ShardSpec& part = part_of(old, holder, block);
  if (part_of(old, receiver, block) == part) return receiver;
  int first = 0;
  while (!(part_of(old, first, block) == part)) ++first;
  return first;
}

// What `sender` sends to `receiver`.
std::vector<Piece> pieces_between(const Holders& old, const Holders& fresh, int sender,
                                  int receiver) {
  std::vector<Piece> pieces;
  for (size_t b = 0; b < old[0]->blocks.size(); ++b) {
    if (sender_of(old, sender, receiver, b) != sender) continue;
    const ShardSpec &have = part_of(old, sender, b), &want = part_of(fresh, receiver, b);
    Piece piece{b, intersection(have.rows, want.rows), intersection(have.cols, want.cols)};
    if (piece.size() > 0) pieces.push_back(piece);
  }
  return pieces;
}

// A piece inside a rank's tensor: rows of a view, and the column it begins at.
struct Place {
  TensorView rows;
  int64_t column;
};
Place place_in(const WeightPlacement& p, TensorView natural, const Piece& piece) {
  const ShardSpec& part = p.blocks[piece.block].part;
  int64_t row = piece.rows.begin - part.rows.begin, column = piece.cols.begin - part.cols.begin;
  if (p.alternate) {  // row r of each block stands in line r, one block behind the other
    auto blocks = static_cast<int64_t>(p.blocks.size());
    TensorView lines = natural.reshaped({p.rows / blocks, blocks * p.cols});
    return {lines.rows(row, piece.rows.size), static_cast<int64_t>(piece.block) * p.cols + column};
  }
  for (size_t b = 0; b < piece.block; ++b) row += p.blocks[b].part.rows.size;
  return {natural.reshaped({p.rows, p.cols}).rows(row, piece.rows.size), column};
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
        largest = std::max(largest, total(pieces_between(old, fresh, s, r)));
    Tensor send(backend_.device, from.dtype, {comm_.size(), largest}),
        receive(backend_.device, from.dtype, {comm_.size(), largest});
    auto me = static_cast<size_t>(comm_.rank());
    for (int r = 0; r < comm_.size(); ++r)
      for_each_piece(pieces_between(old, fresh, comm_.rank(), r), send.view().rows(r, 1),
                     [&](const Piece& piece, TensorView packed) {
                       Place at = place_in(*old[me], from, piece);
                       backend_.ops.copy_columns(stream_, packed, 0, at.rows, at.column,
                                                 piece.cols.size);
                     });
    comm_.all_to_all(stream_, send.view().data, receive.view().data, send.bytes() / ranks());
    int64_t filled = 0;
    for (int s = 0; s < comm_.size(); ++s)
      for_each_piece(pieces_between(old, fresh, s, comm_.rank()), receive.view().rows(s, 1),
                     [&](const Piece& piece, TensorView packed) {
                       Place at = place_in(*fresh[me], to, piece);
                       backend_.ops.copy_columns(stream_, at.rows, at.column, packed, 0,
                                                 piece.cols.size);
                       filled += piece.size();
                     });
    ensure(filled == to.numel(), "reshard: pieces do not make up the shard");
    backend_.device.synchronize(stream_);  // before the buffers go
  }

 private:
  size_t ranks() const { return static_cast<size_t>(comm_.size()); }
  static int64_t total(const std::vector<Piece>& pieces) {
    int64_t sum = 0;
    for (const Piece& p : pieces) sum += p.size();
    return sum;
  }
  // With each piece's place in a buffer, one behind the other.
  template <class Visit>
  static void for_each_piece(const std::vector<Piece>& pieces, TensorView buffer, Visit&& visit) {
    int64_t at = 0;
    for (const Piece& piece : pieces) {
      visit(piece, buffer.reshaped({buffer.numel()})
                       .rows(at, piece.size())
                       .reshaped({piece.rows.size, piece.cols.size}));
      at += piece.size();
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
  std::vector<Holders> old = holders_of_all(old_placements), fresh = holders_of_all(new_placements);
  auto me = static_cast<size_t>(comm.rank());
  weights.lm_head = config.tie_word_embeddings ? PackedWeight{} : std::move(weights.lm_head);
  // The tensors of the old grid in order, each to be taken once.
  std::vector<std::pair<PackedWeight*, Tensor*>> sources;
  for_each_placement(old_placements[me], weights,
                     [&](const WeightPlacement&, PackedWeight* matrix, Tensor* vector) {
                       sources.emplace_back(matrix, vector);
                     });
  DecoderWeights result;
  result.dtype = weights.dtype;
  Exchange exchange(backend, comm, stream);
  size_t i = 0;
  for_each_placement(new_placements[me], result,
                     [&](const WeightPlacement& p, PackedWeight* matrix, Tensor* vector) {
                       auto [packed, plain] = sources[i];
                       Tensor have = packed ? backend.ops.unpack_weight(stream, packed->weight,
                                                                        packed->storage)
                                            : std::move(*plain);
                       if (packed) *packed = {};
                       Tensor natural = natural_tensor(p, result.dtype, backend);
                       exchange.run(old[i], fresh[i], have, natural);
                       adopt(std::move(natural), matrix, vector, backend, stream);
                       ++i;
                     });
  backend.device.synchronize(stream);
  tie(result, new_placements[me]);
  return result;
}

}  // namespace ll
