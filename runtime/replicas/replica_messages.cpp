#include "runtime/replicas/replica_messages.h"

#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace ll {
namespace {

// One function a type names its parts; Writer and Reader both go by it. A part is a value that can
// be copied byte by byte, a vector or optional of parts, or a type with such a function.
template <class Archive>
void parts(Archive& a, StartedPrompt& s) {
  a(s.request, s.num_cached);
}
template <class Archive>
void parts(Archive& a, TokenLogprob& t) {
  a(t.token, t.logprob, t.top);
}
template <class Archive>
void parts(Archive& a, PromptScores& s) {
  a(s.request, s.first, s.logprobs);
}
template <class Archive>
void parts(Archive& a, StepCost& c) {
  a(c.cost, c.shares);
}
template <class Archive>
void parts(Archive& a, DrawnToken& t) {
  a(t.sequence, t.token, t.finish_reason, t.logprob);
}
template <class Archive>
void parts(Archive& a, GroupTimes& t) {
  a(t.ranks, t.steps, t.skew_seconds);
}
template <class Archive>
void parts(Archive& a, ReplicaStep& s) {
  a(s.stats, s.times, s.events.steps, s.events.costs, s.events.started, s.events.prompt_scores,
    s.events.drafted, s.events.tokens);
}
template <class Archive>
void parts(Archive& a, SamplingParams& p) {
  a(static_cast<Draw&>(p), p.n, p.logit_bias, p.allowed_token_ids, p.bad_words, p.max_tokens,
    p.min_tokens, p.ignore_eos, p.stop_token_ids, p.logprobs, p.prompt_logprobs);
}
template <class Archive>
void parts(Archive& a, Request& r) {
  a(r.id, r.priority, r.prompt, r.params, r.eos_token_ids);
}
template <class Archive>
void parts(Archive& a, std::pair<int32_t, float>& p) {
  a(p.first, p.second);
}

class Writer {
 public:
  explicit Writer(ReplicaMessage kind) : text_(1, static_cast<char>(kind)) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(text_); }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_trivially_copyable_v<T>)
      text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    else
      parts(*this, const_cast<T&>(value));  // a Writer changes nothing
  }
  template <class T>
  void put(const std::vector<T>& list) {
    auto size = static_cast<int64_t>(list.size());
    put(size);
    if constexpr (std::is_trivially_copyable_v<T>)
      text_.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
    else
      for (const T& value : list) put(value);
  }
  template <class T>
  void put(const std::optional<T>& value) {
    bool has_value = value.has_value();
    put(has_value);
    if (has_value) put(*value);
  }

  std::string text_;
};

class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message.substr(1)) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  void check_end() const { ensure(rest_.empty(), "message between replicas: too long"); }

 private:
  void copy(void* to, size_t bytes) {
    ensure(bytes <= rest_.size(), "message between replicas: too short");
    if (bytes > 0) std::memcpy(to, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_trivially_copyable_v<T>)
      copy(&value, sizeof value);
    else
      parts(*this, value);
  }
  template <class T>
  void get(std::vector<T>& list) {
    int64_t size = 0;
    get(size);
    // An entry has at least a byte.
    ensure(size >= 0 && size <= static_cast<int64_t>(rest_.size()),
           "message between replicas: too short");
    list.resize(static_cast<size_t>(size));
    if constexpr (std::is_trivially_copyable_v<T>)
      copy(list.data(), list.size() * sizeof(T));
    else
      for (T& value : list) get(value);
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool has_value = false;
    get(has_value);
    if (has_value) get(value.emplace());
  }

  std::string_view rest_;
};

template <class T>
std::string write(ReplicaMessage kind, const T& value) {
  Writer writer(kind);
  writer(value);
  return writer.take();
}

template <class T>
T read(std::string_view message) {
  Reader reader(message);
  T value{};
  reader(value);
  reader.check_end();
  return value;
}

}  // namespace

ReplicaMessage kind_of(std::string_view message) {
  ensure(!message.empty(), "message between replicas: empty");
  return static_cast<ReplicaMessage>(message[0]);
}

std::string encode(ReplicaMessage kind) { return std::string(1, static_cast<char>(kind)); }
std::string encode(ReplicaMessage kind, int64_t value) { return write(kind, value); }
std::string encode(ReplicaMessage kind, const std::vector<int64_t>& values) {
  return write(kind, values);
}
std::string encode(ReplicaMessage kind, std::string_view text) { return encode(kind).append(text); }
std::string encode(const Request& request) { return write(ReplicaMessage::kWork, request); }
std::string encode(SequenceId sequence) { return write(ReplicaMessage::kEnd, sequence); }
std::string encode(const ReplicaStep& step) { return write(ReplicaMessage::kStep, step); }

int64_t decode_value(std::string_view message) { return read<int64_t>(message); }
std::vector<int64_t> decode_values(std::string_view message) {
  return read<std::vector<int64_t>>(message);
}
std::string decode_text(std::string_view message) { return std::string(message.substr(1)); }
Request decode_request(std::string_view message) { return read<Request>(message); }
SequenceId decode_sequence(std::string_view message) { return read<SequenceId>(message); }
ReplicaStep decode_step(std::string_view message) { return read<ReplicaStep>(message); }

}  // namespace ll
