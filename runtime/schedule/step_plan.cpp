#include "runtime/schedule/step_plan.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/hash/hash.h"

namespace ll {
namespace {

int32_t checksum(std::span<const int32_t> words) {
  Fnv32 hash;
  for (int32_t w : words) hash.add(static_cast<uint32_t>(w));
  return static_cast<int32_t>(hash.value);
}

class Writer {
 public:
  void put(int32_t v) { words_.push_back(v); }
  void put(float v) { put(std::bit_cast<int32_t>(v)); }
  void put(const std::vector<int32_t>& list) {
    put(static_cast<int32_t>(list.size()));
    words_.insert(words_.end(), list.begin(), list.end());
  }
  // Structs of 32-bit words only.
  template <class T>
  void put_struct(const T& v) {
    put_words(std::span<const T>(&v, 1));
  }
  template <class T>
  void put_structs(const std::vector<T>& list) {
    put(static_cast<int32_t>(list.size()));
    put_words(std::span<const T>(list));
  }
  std::vector<int32_t> finish() {
    put(checksum(words_));
    return std::move(words_);
  }

 private:
  template <class T>
  void put_words(std::span<const T> list) {
    static_assert(alignof(T) == sizeof(int32_t) && std::is_trivially_copyable_v<T>);
    size_t at = words_.size();
    words_.resize(at + list.size_bytes() / sizeof(int32_t));
    if (!list.empty()) std::memcpy(words_.data() + at, list.data(), list.size_bytes());
  }
  std::vector<int32_t> words_;
};

class Reader {
 public:
  explicit Reader(std::span<const int32_t> words) : words_(words) {}

  void get(int32_t& v) { v = take(1)[0]; }
  void get(float& v) { v = std::bit_cast<float>(take(1)[0]); }
  void get(std::vector<int32_t>& list) {
    auto w = take(size());
    list.assign(w.begin(), w.end());
  }
  template <class T>
  void get_struct(T& v) {
    std::memcpy(static_cast<void*>(&v), take(sizeof(T) / sizeof(int32_t)).data(), sizeof(T));
  }
  template <class T>
  void get_structs(std::vector<T>& list) {
    size_t n = size();
    auto w = take(n * (sizeof(T) / sizeof(int32_t)));
    list.resize(n);
    if (n > 0) std::memcpy(static_cast<void*>(list.data()), w.data(), w.size_bytes());
  }
  size_t size() {
    int32_t n;
    get(n);
    ensure(n >= 0 && static_cast<size_t>(n) <= words_.size(), "step plan: a list outruns the plan");
    return static_cast<size_t>(n);
  }
  bool is_done() const { return words_.empty(); }

 private:
  std::span<const int32_t> take(size_t n) {
    ensure(n <= words_.size(), "step plan: truncated");
    auto part = words_.first(n);
    words_ = words_.subspan(n);
    return part;
  }
  std::span<const int32_t> words_;
};

void put(Writer& w, const SlotSampling& s) {
  w.put_struct<Draw>(s);
  w.put(s.num_logprobs);
  w.put(s.min_position);
  w.put(s.banned_before);
  w.put(static_cast<int32_t>(s.logit_bias.size()));
  for (auto [token, bias] : s.logit_bias) w.put(token), w.put(bias);
}

void get(Reader& r, SlotSampling& s) {
  r.get_struct<Draw>(s);
  r.get(s.num_logprobs);
  r.get(s.min_position);
  r.get(s.banned_before);
  s.logit_bias.resize(r.size());
  for (auto& [token, bias] : s.logit_bias) r.get(token), r.get(bias);
}

}  // namespace

int32_t StepPlan::num_tokens() const {
  size_t n = decode.size();
  for (const PromptChunk& c : chunks) n += c.tokens.size();
  return static_cast<int32_t>(n);
}

std::vector<int32_t> StepPlan::encode() const {
  Writer w;
  w.put(id);
  w.put(static_cast<int32_t>(kind));
  w.put(static_cast<int32_t>(gathered));
  w.put(num_drafts);
  w.put_structs(decode);
  w.put(static_cast<int32_t>(chunks.size()));
  for (const PromptChunk& c : chunks) {
    w.put(c.slot);
    w.put(c.first_position);
    w.put(c.num_prompt_logprobs);
    w.put(c.tokens);
    w.put(c.next_token);
  }
  w.put_structs(samples);
  w.put_structs(bans);
  w.put(static_cast<int32_t>(new_slots.size()));
  for (const NewSlot& s : new_slots) {
    w.put(s.slot);
    put(w, s.sampling);
    w.put(s.end);
    w.put(s.allowed);
    w.put(s.prompt);
    w.put(s.output);
  }
  w.put_structs(page_deltas);
  w.put_structs(page_copies);
  w.put_structs(prefix_groups);
  return w.finish();
}

StepPlan StepPlan::decode_from(std::span<const int32_t> flat) {
  check(!flat.empty() && checksum(flat.first(flat.size() - 1)) == flat.back(),
        "the plan of a step arrived damaged: its checksum is wrong; the network or a rank's memory "
        "may be faulty");
  Reader r(flat.first(flat.size() - 1));
  StepPlan p;
  r.get(p.id);
  int32_t kind;
  r.get(kind);
  ensure(kind >= 0 && kind <= static_cast<int32_t>(Kind::kStop), "step plan: unknown kind");
  p.kind = static_cast<Kind>(kind);
  int32_t gathered;
  r.get(gathered);
  p.gathered = gathered != 0;
  r.get(p.num_drafts);
  ensure(p.num_drafts >= 0, "step plan: a negative number of drafts");
  r.get_structs(p.decode);
  p.chunks.resize(r.size());
  for (PromptChunk& c : p.chunks) {
    r.get(c.slot);
    r.get(c.first_position);
    r.get(c.num_prompt_logprobs);
    r.get(c.tokens);
    r.get(c.next_token);
  }
  r.get_structs(p.samples);
  r.get_structs(p.bans);
  p.new_slots.resize(r.size());
  for (NewSlot& s : p.new_slots) {
    r.get(s.slot);
    get(r, s.sampling);
    r.get(s.end);
    r.get(s.allowed);
    r.get(s.prompt);
    r.get(s.output);
  }
  r.get_structs(p.page_deltas);
  r.get_structs(p.page_copies);
  r.get_structs(p.prefix_groups);
  ensure(r.is_done(), "step plan: trailing words");
  return p;
}

}  // namespace ll
