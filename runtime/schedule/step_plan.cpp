#include "runtime/schedule/step_plan.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace ll {
namespace {

// FNV-1a over the words.
int32_t checksum(std::span<const int32_t> words) {
  uint32_t hash = 2166136261u;
  for (int32_t w : words) hash = (hash ^ static_cast<uint32_t>(w)) * 16777619u;
  return static_cast<int32_t>(hash);
}

class Writer {
 public:
  void put(int32_t v) { words_.push_back(v); }
  void put(float v) { put(std::bit_cast<int32_t>(v)); }
  void put(uint64_t v) {
    put(static_cast<int32_t>(v));
    put(static_cast<int32_t>(v >> 32));
  }
  void put(const std::vector<int32_t>& list) {
    put(static_cast<int32_t>(list.size()));
    words_.insert(words_.end(), list.begin(), list.end());
  }
  // Structs of int32 only.
  template <class T>
  void put_structs(const std::vector<T>& list) {
    static_assert(sizeof(T) % sizeof(int32_t) == 0 && std::is_trivially_copyable_v<T>);
    put(static_cast<int32_t>(list.size()));
    size_t at = words_.size();
    words_.resize(at + list.size() * sizeof(T) / sizeof(int32_t));
    if (!list.empty()) std::memcpy(words_.data() + at, list.data(), list.size() * sizeof(T));
  }
  std::vector<int32_t> finish() {
    put(checksum(words_));
    return std::move(words_);
  }

 private:
  std::vector<int32_t> words_;
};

class Reader {
 public:
  explicit Reader(std::span<const int32_t> words) : words_(words) {}

  void get(int32_t& v) { v = take(1)[0]; }
  void get(float& v) { v = std::bit_cast<float>(take(1)[0]); }
  void get(uint64_t& v) {
    auto w = take(2);
    v = static_cast<uint32_t>(w[0]) | uint64_t{static_cast<uint32_t>(w[1])} << 32;
  }
  void get(std::vector<int32_t>& list) {
    auto w = take(size());
    list.assign(w.begin(), w.end());
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
  for (float v : {s.temperature, s.top_p, s.min_p, s.repetition_penalty, s.presence_penalty,
                  s.frequency_penalty})
    w.put(v);
  w.put(s.top_k);
  w.put(s.seed);
  w.put(s.num_logprobs);
  w.put(s.min_position);
  w.put(s.banned_before);
  w.put(static_cast<int32_t>(s.logit_bias.size()));
  for (auto [token, bias] : s.logit_bias) w.put(token), w.put(bias);
}

void get(Reader& r, SlotSampling& s) {
  for (float* v : {&s.temperature, &s.top_p, &s.min_p, &s.repetition_penalty, &s.presence_penalty,
                   &s.frequency_penalty})
    r.get(*v);
  r.get(s.top_k);
  r.get(s.seed);
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
  w.put(static_cast<int32_t>(new_slots.size()));
  for (const NewSlot& s : new_slots) {
    w.put(s.slot);
    put(w, s.sampling);
    w.put(s.prompt);
    w.put(s.output);
  }
  w.put_structs(page_deltas);
  w.put_structs(page_copies);
  return w.finish();
}

StepPlan StepPlan::decode_from(std::span<const int32_t> flat) {
  ensure(!flat.empty() && checksum(flat.first(flat.size() - 1)) == flat.back(),
         "step plan: bad checksum; ranks diverged");
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
  p.new_slots.resize(r.size());
  for (NewSlot& s : p.new_slots) {
    r.get(s.slot);
    get(r, s.sampling);
    r.get(s.prompt);
    r.get(s.output);
  }
  r.get_structs(p.page_deltas);
  r.get_structs(p.page_copies);
  ensure(r.is_done(), "step plan: trailing words");
  return p;
}

}  // namespace ll
