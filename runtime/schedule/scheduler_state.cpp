// What is said of a scheduler that can do nothing.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/schedule/scheduler.h"

namespace ll {
namespace {

constexpr size_t kMostDescribed = 8;  // sequences

}  // namespace

std::string Scheduler::describe_state() const {
  std::string text = fmt::format(
      "{} waiting, {} running; {} KV pages of {} positions: {} free, {} held by running sequences, "
      "{} kept by the cache alone",
      waiting_.size(), running_.size(), options_.num_pages, options_.page_span, ledger_.num_free(),
      ledger_.num_in_use(), options_.num_pages - ledger_.num_free() - ledger_.num_in_use());
  for (size_t i = 0; i < std::min(running_.size(), kMostDescribed); ++i) {
    const Sequence& s = *running_[i];
    text += fmt::format(
        "; request {} choice {}: {}, {} of {} tokens computed, {} in flight, {} pages, {} shared",
        s.request->id, s.index, s.state == Sequence::State::kPrefilling ? "prefilling" : "decoding",
        s.num_computed, s.tokens.size(), s.num_in_flight, s.kv.pages.size(), s.kv.num_shared);
  }
  if (running_.size() > kMostDescribed) text += "; ...";
  return text;
}

}  // namespace ll
