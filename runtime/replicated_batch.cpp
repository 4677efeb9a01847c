#include "runtime/replicated_batch.h"

#include <algorithm>

#include "runtime/engine_stepper.h"
#include "runtime/replica_messages.h"

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

constexpr size_t kWindow = 64;  // requests among which those that suit a replica are looked for

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
      router_(mailbox.size(), config.scheduler.max_num_seqs,
              RequestRouter::usual_capacity(config.scheduler.max_num_seqs)),
      counts_(static_cast<size_t>(mailbox.size())),
      busy_seconds_(static_cast<size_t>(mailbox.size())) {}

void ReplicatedBatch::run(Engine& engine, BatchJob& job, LineReader& input) {
  num_lines_ = LineReader::count_lines(config_.job.input);
  RequestFeed feed(input, context_, static_cast<size_t>(BatchJob::read_ahead(config_)),
                   /*keeps_text=*/true);
  Progress progress;
  EngineStepper stepper;
  auto before = Clock::now();
  while (!feed.is_done() || !unplaced_.empty() || router_.num_placed() > 0) {
    receive();
    fill_queue(feed, engine, job);
    hand_out();
    recall();
    own_.feed(engine, job, config_.scheduler.max_num_seqs);
    stepper.step(engine, [&] { engine.step(); });
    progress.update(total(job.count(engine)));
    auto now = Clock::now();
    note_busy(now - before);
    before = now;
  }
  for (int r = 1; r < mailbox_.size(); ++r) mailbox_.post(r, std::string(1, kQuit));
  output_.close();
  finish(progress, job.count(engine));
}

void ReplicatedBatch::fill_queue(RequestFeed& feed, Engine& engine, BatchJob& job) {
  while (unplaced_.size() < kWindow) {
    auto item = feed.pop(std::chrono::milliseconds(0));
    if (!item) return;
    if (!item->request) {
      job.submit(engine, std::move(*item));  // a bad line: its record is all there is to do
      continue;
    }
    RequestRouter::Ticket ticket = ticket_of(*item);
    unplaced_.push_back({std::move(*item), std::move(ticket)});
  }
}

// First what suits the replicas with room best, by what they know of its prompt; while there is
// room nobody waits for better.
void ReplicatedBatch::hand_out() {
  do {
    std::erase_if(unplaced_, [&](Unplaced& u) { return place(u, /*patient=*/true); });
    if (unplaced_.empty() || !place(unplaced_.front(), /*patient=*/false)) return;
    unplaced_.pop_front();
  } while (!unplaced_.empty());
}

bool ReplicatedBatch::place(Unplaced& request, bool patient) {
  int replica = router_.place(request.ticket, patient);
  if (replica < 0) return false;
  RequestFeed::Item& item = request.item;
  if (replica == mailbox_.rank()) {
    own_.push(std::move(item));
    return true;
  }
  mailbox_.post(replica, replica_message(kWork, item.line, item.text));
  int64_t line = item.line;
  away_.emplace(line, std::move(item));
  return true;
}

void ReplicatedBatch::requeue(RequestFeed::Item item) {
  router_.give_back(item.line);
  RequestRouter::Ticket ticket = ticket_of(item);
  unplaced_.push_front({std::move(item), std::move(ticket)});
}

// When the queue is empty, a replica with free slots takes over what another has not begun.
void ReplicatedBatch::recall() {
  if (!unplaced_.empty() || is_recalling_) return;
  auto [replica, count] = router_.recall();
  if (replica < 0) return;
  if (replica != mailbox_.rank()) {
    is_recalling_ = true;
    return mailbox_.post(replica, replica_message(kRecall, count));
  }
  for (RequestFeed::Item& item : own_.give_back(count)) requeue(std::move(item));
}

void ReplicatedBatch::receive() {
  while (auto m = mailbox_.poll()) {
    switch (kind_of(m->text)) {
      case kDone: {
        auto line = head_of<int64_t>(m->text);
        away_.erase(line);
        done(line, rest_of<int64_t>(m->text));
        break;
      }
      case kCounts:
        counts_[static_cast<size_t>(m->from)] = head_of<BatchCounts>(m->text);
        break;
      case kReturned:
        take_back(values_of<int64_t>(m->text));
        break;
      default:
        ensure(false, "message between replicas: unknown kind");
    }
  }
}

void ReplicatedBatch::take_back(const std::vector<int64_t>& lines) {
  is_recalling_ = false;
  for (int64_t line : lines) {
    auto found = away_.find(line);
    ensure(found != away_.end(), "a replica gives back what it was not given");
    requeue(std::move(found->second));
    away_.erase(found);
  }
}

void ReplicatedBatch::done(int64_t line, std::string_view record) {
  router_.remove(line);  // bad lines were never placed
  output_.write_line(record);
}

void ReplicatedBatch::note_busy(std::chrono::duration<double> elapsed) {
  seconds_ += elapsed.count();
  for (int r = 0; r < mailbox_.size(); ++r)
    if (router_.num_open(r) > 0) busy_seconds_[static_cast<size_t>(r)] += elapsed.count();
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
  for (double busy : busy_seconds_)
    shares += fmt::format("{}{:.1f}%", shares.empty() ? "" : ", ",
                          seconds_ > 0 ? 100 * busy / seconds_ : 0);
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
