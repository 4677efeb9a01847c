#include "runtime/engine/measure_decode_one.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/engine/step_clock.h"

namespace ll {
namespace {

constexpr int64_t kContext = 512;  // of the measured step's sequence
// Between logits of both ways, which rounding leaves a few hundredths apart, in millionths.
constexpr int64_t kMostError = 150'000;

// A sequence at a position, on pages of its own as far as there are so many.
class OneSequence {
 public:
  OneSequence(const MeasuredModel& m, int32_t position)
      : position_(position),
        num_pages_(position / m.kv.positions().span() + 1),
        zero_(uploaded(m, {0})),
        at_(uploaded(m, {position})),
        table_(uploaded(m, first_pages(num_pages_, m.kv.num_pages()))) {}

  StepInputs inputs() const {
    return {.batch = {.num_tokens = 1,
                      .num_decode = 1,
                      .positions = ints(at_),
                      .slots = ints(zero_),
                      .page_table = ints(table_),
                      .page_table_stride = num_pages_,
                      .max_kv_length = position_ + 1},
            .ids = ints(zero_),
            .last_tokens = ints(zero_)};
  }

 private:
  static std::vector<int32_t> first_pages(int64_t count, int64_t num_pages) {
    std::vector<int32_t> pages;
    for (int64_t i = 0; i < count; ++i) pages.push_back(static_cast<int32_t>(i % num_pages));
    return pages;
  }
  static Tensor uploaded(const MeasuredModel& m, const std::vector<int32_t>& values) {
    Tensor t(m.backend.device, DType::i32, {static_cast<int64_t>(values.size())});
    m.backend.device.copy(m.stream, t.view().data, values.data(), t.bytes());
    m.backend.device.synchronize(m.stream);
    return t;
  }
  static const int32_t* ints(const Tensor& t) { return static_cast<int32_t*>(t.view().data); }

  int32_t position_;
  int64_t num_pages_;
  Tensor zero_, at_, table_;
};

// A step of one row in both ways.
struct OneRow {
  const MeasuredModel& m;
  StepInputs inputs;
  TensorView logits = m.logits.rows(0, 1);

  void by_ops() const {
    m.decoder.logits(m.stream, m.decoder.forward(m.stream, inputs, m.kv), logits);
  }
  void in_one_kernel() const { m.decoder.decode_one(m.stream, inputs, logits); }
  std::vector<float> read_logits() const {
    std::vector<float> values(static_cast<size_t>(logits.numel()));
    m.backend.device.copy(m.stream, values.data(), logits.data, logits.bytes());
    m.backend.device.synchronize(m.stream);
    return values;
  }
};

// How far the kernel's logits are from the ops', as a share of their length, at most all of it; the
// most of all ranks, in millionths. At position 0 nothing matters that was stored before.
int64_t error_of_one_kernel(const OneRow& row, const MpiGroup& ranks) {
  row.by_ops();
  std::vector<float> want = row.read_logits();
  row.in_one_kernel();
  std::vector<float> got = row.read_logits();
  double difference = 0, length = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(double{got[i]} - want[i], 2);
    length += std::pow(double{want[i]}, 2);
  }
  double error = std::sqrt(difference / length);
  return ranks.max(std::llround(1e6 * (error < 1 ? error : 1.0)));
}

void refuse(const MeasuredModel& m, int64_t error) {
  if (m.replica.rank() == 0)
    fmt::print(stderr,
               "steps of one sequence are done layer by layer: in one kernel over {} ranks their "
               "logits would be off by {:.1f}%; please report the GPUs and their links\n",
               m.replica.size(), static_cast<double>(error) / 1e4);
  m.decoder.forget_decode_one();
}

}  // namespace

bool may_forget_decode_one(const MeasuredModel& m) {
  return m.backend.measures_fused_decode || m.replica.size() > 1;
}

// Several ranks look first whether the kernel is right: that depends on how their devices are
// connected.
void measure_decode_one(const MeasuredModel& m, int64_t max_length) {
  if (!m.decoder.can_decode_one(0) || !may_forget_decode_one(m)) return;
  if (m.replica.size() > 1) {
    OneSequence sequence(m, 0);
    int64_t error = error_of_one_kernel({m, sequence.inputs()}, m.replica);
    if (error > kMostError) return refuse(m, error);
  }
  OneSequence sequence(m, static_cast<int32_t>(std::min(kContext, max_length) - 1));
  OneRow row{m, sequence.inputs()};
  StepClock clock(m.backend, m.stream, m.replica);
  if (!clock.is_faster([&] { row.in_one_kernel(); }, [&] { row.by_ops(); }))
    m.decoder.forget_decode_one();
}

}  // namespace ll
