#include "runtime/batch/replicated_batch.h"

#include <algorithm>

#include "runtime/replicas/engine_stepper.h"
#include "runtime/replicas/replica_messages.h"

namespace ll {
namespace {

using Clock = std::chrono::steady_clock;

// A message is its kind and what the comment says.
constexpr char kWork = 'W';      // to a replica: number of a line, the line
constexpr char kRecall = 'R';    // to a replica: how many requests to give back
constexpr char kQuit = 'Q';      // to a replica
constexpr char kDone = 'D';      // from a replica: number of a line, its record
constexpr char kCounts = 'C';    // from a replica: BatchCounts
constexpr char kReturned = 'B';  // from a replica: numbers of lines

RequestRouter::Ticket ticket_of(const RequestFeed::Item& item) {
  const CompletionRequest& r = *item.request;
  return RequestRouter::ticket(item.line, r.prompts.front(), r.num_choices(), r.params.max_tokens);
}

}  // namespace

void ReplicaQueue::feed(Engine& engine, BatchJob& job, int64_t max_num_seqs) {
  while (!items_.empty()) {
    SchedulerStats stats = engine.stats();
    if (engine.has_work() && stats.num_running + stats.num_waiting >= max_num_seqs) return;
    RequestFeed::Item item = std::move(items_.front());
    items_.pop_front();
    job.submit(engine, std::move(item));
  }
}

std::vector<RequestFeed::Item> ReplicaQueue::give_back(int64_t count) {
  std::vector<RequestFeed::Item> given;
  for (; count > 0 && !items_.empty(); --count) {
    given.push_back(std::move(items_.back()));
    items_.pop_back();
  }
  return given;
}

ReplicatedBatch::ReplicatedBatch(const EngineConfig& config, const CompletionContext& context,
                                 Mailbox& mailbox, OutputFile& output)
    : config_(config),
      context_(context),
      mailbox_(mailbox),
      output_(output),
      queue_(mailbox.size(), config.scheduler.max_num_seqs),
      counts_(static_cast<size_t>(mailbox.size())) {}

void ReplicatedBatch::run(Engine& engine, BatchJob& job, LineReader& input) {
  num_lines_ = LineReader::count_lines(config_.job.input);
  RequestFeed feed(input, context_, static_cast<size_t>(BatchJob::read_ahead(config_)),
                   /*keeps_text=*/true);
  Progress progress;
  EngineStepper stepper;
  auto before = Clock::now();
  while (!feed.is_done() || !queue_.is_done()) {
    receive();
    fill_queue(feed, engine, job);
    queue_.hand_out([&](int replica, int64_t line) { give(replica, line); });
    recall();
    own_.feed(engine, job, config_.scheduler.max_num_seqs);
    stepper.step(engine, [&] { engine.step(); });
    progress.update(total(job.count(engine)));
    auto now = Clock::now();
    queue_.note_busy(std::chrono::duration<double>(now - before).count());
    before = now;
  }
  for (int r = 1; r < mailbox_.size(); ++r) mailbox_.post(r, std::string(1, kQuit));
  output_.close();
  finish(progress, job.count(engine));
}

void ReplicatedBatch::fill_queue(RequestFeed& feed, Engine& engine, BatchJob& job) {
  while (queue_.wants_more()) {
    auto item = feed.pop(std::chrono::milliseconds(0));
    if (!item) return;
    if (!item->request) {
      job.submit(engine, std::move(*item));  // a bad line: its record is all there is to do
      continue;
    }
    queue_.push(ticket_of(*item));
    int64_t line = item->line;
    items_.emplace(line, std::move(*item));
  }
}

void ReplicatedBatch::give(int replica, int64_t line) {
  if (replica == mailbox_.rank())
    own_.push(std::move(items_.extract(line).mapped()));
  else
    mailbox_.post(replica, replica_message(kWork, line, items_.at(line).text));
}

void ReplicatedBatch::recall() {
  auto [replica, count] = queue_.recall();
  if (replica < 0) return;
  if (replica != mailbox_.rank()) return mailbox_.post(replica, replica_message(kRecall, count));
  std::vector<int64_t> lines;
  for (RequestFeed::Item& item : own_.give_back(count)) {
    lines.push_back(item.line);
    items_.emplace(lines.back(), std::move(item));
  }
  queue_.take_back(lines);
}

void ReplicatedBatch::receive() {
  while (auto m = mailbox_.poll()) {
    switch (kind_of(m->text)) {
      case kDone: {
        auto line = head_of<int64_t>(m->text);
        items_.erase(line);
        done(line, rest_of<int64_t>(m->text));
        break;
      }
      case kCounts:
        counts_[static_cast<size_t>(m->from)] = head_of<BatchCounts>(m->text);
        break;
      case kReturned:
        queue_.take_back(values_of<int64_t>(m->text));
        break;
      default:
        ensure(false, "message between replicas: unknown kind");
    }
  }
}

void ReplicatedBatch::done(int64_t line, std::string_view record) {
  queue_.remove(line);  // bad lines were never in it
  output_.write_line(record);
}

BatchCounts ReplicatedBatch::total(const BatchCounts& own) const {
  BatchCounts sum = own;
  sum.total = num_lines_;
  for (const BatchCounts& c : counts_) {
    sum.done += c.done;
    sum.errors += c.errors;
    sum.prompt_tokens += c.prompt_tokens;
    sum.cached_tokens += c.cached_tokens;
    sum.output_tokens += c.output_tokens;
    sum.preemptions += c.preemptions;
    sum.running += c.running;
    sum.waiting += c.waiting;
  }
  return sum;
}

void ReplicatedBatch::finish(Progress& progress, const BatchCounts& own) {
  BatchCounts sum = total(own);
  sum.total = sum.done;
  progress.finish(sum);
  std::string shares;
  for (double share : queue_.busy_shares())
    shares += fmt::format("{}{:.1f}%", shares.empty() ? "" : ", ", 100 * share);
  fmt::print(stderr, "replicas busy  {}\n", shares);
}

void RemoteReplica::run(Engine& engine, BatchJob& job) {
  EngineStepper stepper;
  while (receive()) {
    queue_.feed(engine, job, config_.scheduler.max_num_seqs);
    stepper.step(engine, [&] { engine.step(); });
    if (records_.empty()) continue;
    // Counts first: with the last record rank 0 may be through with the file.
    mailbox_.post(0, replica_message(kCounts, job.count(engine)));
    for (std::string& record : records_) mailbox_.post(0, std::move(record));
    records_.clear();
  }
}

// False when there is no more.
bool RemoteReplica::receive() {
  while (auto m = mailbox_.poll()) {
    char kind = kind_of(m->text);
    if (kind == kQuit) return false;
    if (kind == kWork) {
      LineReader::Line line{head_of<int64_t>(m->text), std::string(rest_of<int64_t>(m->text))};
      queue_.push(RequestFeed::parse(line, context_));
      continue;
    }
    ensure(kind == kRecall, "message between replicas: unknown kind");
    std::vector<int64_t> lines;
    for (const RequestFeed::Item& item : queue_.give_back(head_of<int64_t>(m->text)))
      lines.push_back(item.line);
    mailbox_.post(0, replica_message(kReturned, lines));
  }
  return true;
}

void RemoteReplica::done(int64_t line, std::string_view record) {
  records_.push_back(replica_message(kDone, line, record));
}

}  // namespace ll
