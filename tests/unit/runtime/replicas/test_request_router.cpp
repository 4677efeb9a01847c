#include "runtime/replicas/request_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "base/check.h"

using namespace ll;

namespace {

struct Job {
  int64_t id;
  std::vector<int32_t> prompt;
  int64_t length;  // tokens of the answer
};

// Replicas on paper: a step costs some time, and some more for each answer that runs.
class PaperReplicas {
 public:
  PaperReplicas(int count, int64_t slots)
      : slots_(slots), queue_(count, slots), replicas_(static_cast<size_t>(count)) {}

  void run(std::deque<Job> file) {
    while (!file.empty() || !queue_.is_done()) {
      Replica& next =
          *std::min_element(replicas_.begin(), replicas_.end(),
                            [](const auto& a, const auto& b) { return a.clock < b.clock; });
      for (; !file.empty() && queue_.wants_more(); file.pop_front()) add(std::move(file.front()));
      hand_out();
      recall();
      step(next);
    }
  }

  // The share of the run in which the replica that was through first did not work.
  double idle_share() const {
    double first = 1e300, last = 0;
    for (const Replica& r : replicas_)
      first = std::min(first, r.done), last = std::max(last, r.done);
    return 1 - first / last;
  }
  int64_t computed_prompt_tokens() const { return prompt_tokens_; }

 private:
  struct Replica {
    double clock = 0, done = 0;
    std::deque<Job> queue;
    std::vector<Job> running;
    std::vector<std::vector<int32_t>> cache;  // prompts
  };

  void add(Job job) {
    queue_.push(RequestRouter::ticket(job.id, job.prompt, 1, job.length));
    waiting_.emplace(job.id, std::move(job));
  }

  void hand_out() {
    queue_.hand_out([&](int replica, int64_t id) {
      replicas_[static_cast<size_t>(replica)].queue.push_back(
          std::move(waiting_.extract(id).mapped()));
    });
  }

  void recall() {
    auto [replica, count] = queue_.recall();
    if (replica < 0) return;
    auto& held = replicas_[static_cast<size_t>(replica)].queue;
    std::vector<int64_t> ids;
    for (; count > 0 && !held.empty(); --count) {
      ids.push_back(held.back().id);
      waiting_.emplace(ids.back(), std::move(held.back()));
      held.pop_back();
    }
    queue_.take_back(ids);
    hand_out();
  }

  void step(Replica& r) {
    double cost = 1;
    while (!r.queue.empty() && static_cast<int64_t>(r.running.size()) < slots_)
      cost += 0.005 * static_cast<double>(start(r));
    cost += 0.02 * static_cast<double>(r.running.size());
    r.clock += cost;
    for (Job& job : r.running)
      if (--job.length == 0) {
        queue_.remove(job.id);
        r.done = r.clock;
      }
    std::erase_if(r.running, [](const Job& j) { return j.length == 0; });
  }

  // Prompt tokens no cached prompt begins with.
  int64_t start(Replica& r) {
    Job job = std::move(r.queue.front());
    r.queue.pop_front();
    size_t known = 0;
    for (const auto& p : r.cache) {
      auto end = std::mismatch(p.begin(), p.end(), job.prompt.begin(), job.prompt.end()).first;
      known = std::max(known, static_cast<size_t>(end - p.begin()));
    }
    r.cache.push_back(job.prompt);
    auto computed = static_cast<int64_t>(job.prompt.size() - known);
    prompt_tokens_ += computed;
    r.running.push_back(std::move(job));
    return computed;
  }

  int64_t slots_;
  RequestQueue queue_;
  std::unordered_map<int64_t, Job> waiting_;
  std::vector<Replica> replicas_;
  int64_t prompt_tokens_ = 0;
};

std::vector<int32_t> prompt_of(int64_t length, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back(seed * 1000 + i);
  return ids;
}

// One in ten takes twenty times as long; in front, behind, or anywhere.
enum class Skew { kFront, kBehind, kAnywhere };
std::deque<Job> skewed_file(int64_t count, Skew skew) {
  std::mt19937 rng(3);
  std::deque<Job> file;
  for (int64_t i = 0; i < count; ++i) {
    int64_t place = skew == Skew::kFront    ? i
                    : skew == Skew::kBehind ? count - 1 - i
                                            : static_cast<int64_t>(rng() % 1000000) % count;
    bool is_long = place < count / 10;
    file.push_back({i, prompt_of(40, static_cast<int32_t>(i)),
                    static_cast<int64_t>(10 + rng() % 20) * (is_long ? 20 : 1)});
  }
  return file;
}

}  // namespace

TEST_CASE("router: replicas end together, however a file is skewed") {
  for (int replicas : {2, 4, 8})
    for (Skew skew : {Skew::kFront, Skew::kBehind, Skew::kAnywhere}) {
      CAPTURE(replicas);
      CAPTURE(static_cast<int>(skew));
      PaperReplicas paper(replicas, 16);
      paper.run(skewed_file(1500 * replicas, skew));
      CHECK(paper.idle_share() < 0.05);
    }
}

TEST_CASE("router: a file smaller than the slots of one is shared") {
  RequestRouter router(4, 256, 288);
  for (int64_t i = 0; i < 100; ++i)
    router.place(RequestRouter::ticket(i, prompt_of(10, static_cast<int32_t>(i)), 1, 50));
  for (int r = 0; r < 4; ++r) CHECK(router.num_open(r) == 25);
}

TEST_CASE("router: prompts that begin alike go to the same replica while that is not behind") {
  // Sixteen beginnings of 640 tokens, in turn.
  std::deque<Job> file;
  int64_t all = 0;
  for (int64_t i = 0; i < 640; ++i) {
    auto prompt = prompt_of(640, static_cast<int32_t>(i % 16));
    for (int32_t t : prompt_of(16, static_cast<int32_t>(1000 + i))) prompt.push_back(t);
    all += static_cast<int64_t>(prompt.size());
    file.push_back({i, prompt, 10 + i * 7 % 21});
  }
  PaperReplicas paper(4, 16);
  paper.run(file);
  CHECK(paper.idle_share() < 0.1);
  // Less than twice what each beginning once, and each ending, come to.
  CHECK(paper.computed_prompt_tokens() < 2 * (16 * 640 + 640 * 16));
  CHECK(paper.computed_prompt_tokens() < all / 10);
}

TEST_CASE("router: what cannot begin goes to who can begin it") {
  RequestRouter router(2, 4, 6);
  int64_t id = 0;
  std::vector<int64_t> on_first;
  for (; id < 12; ++id)
    if (router.place(RequestRouter::ticket(id, prompt_of(8, static_cast<int32_t>(id)), 1, 10)) == 0)
      on_first.push_back(id);
  CHECK(router.place(RequestRouter::ticket(id, prompt_of(8, 77), 1, 10)) == -1);  // all are full
  CHECK(router.recall().replica == -1);  // and none has room
  REQUIRE(on_first.size() == 6);
  for (int64_t done : on_first) router.remove(done);
  auto recall = router.recall();
  CHECK(recall.replica == 1);
  CHECK(recall.count == 2);
  router.remove(4711);  // never placed
  CHECK(router.num_placed() == 6);
}

TEST_CASE("queue: one replica at a time is asked to give back, and only when nothing waits") {
  RequestQueue queue(2, 4);
  std::vector<int64_t> given[2];
  auto give = [&](int replica, int64_t id) { given[static_cast<size_t>(replica)].push_back(id); };
  for (int64_t id = 0; id < 11; ++id)
    queue.push(RequestRouter::ticket(id, prompt_of(8, static_cast<int32_t>(id)), 1, 10));
  queue.hand_out(give);
  REQUIRE(given[0].size() + given[1].size() == 10);  // five each
  for (int64_t id : given[0]) queue.remove(id);
  CHECK(queue.recall().replica == -1);  // one waits
  queue.hand_out(give);
  auto recall = queue.recall();
  CHECK(recall.replica == 1);
  CHECK(recall.count == 1);
  CHECK(queue.recall().replica == -1);  // the answer is not there yet
  queue.take_back(std::vector<int64_t>{given[1].back()});
  CHECK_THROWS(queue.take_back(std::vector<int64_t>{given[1].back()}));
  CHECK(!queue.is_done());
  given[0].clear();
  queue.hand_out(give);
  CHECK(given[0] == std::vector<int64_t>{given[1].back()});
}

TEST_CASE("router: a request of more answers than there are slots is placed on an idle replica") {
  RequestRouter router(2, 4, 5);
  CHECK(router.place(RequestRouter::ticket(0, prompt_of(8, 1), 9, 10)) == 0);
  CHECK(router.place(RequestRouter::ticket(1, prompt_of(8, 2), 9, 10)) == 1);
  CHECK(router.place(RequestRouter::ticket(2, prompt_of(8, 3), 1, 10)) == -1);
}

TEST_CASE("queue: by priority, then by arrival; what is given back comes first of its priority") {
  RequestQueue queue(1, 8);
  std::vector<int64_t> given;
  auto push = [&](int64_t id, int32_t priority) {
    auto ticket = RequestRouter::ticket(id, prompt_of(8, static_cast<int32_t>(id)), 1, 10);
    ticket.priority = priority;
    queue.push(std::move(ticket));
  };
  auto give = [&](int, int64_t id) { given.push_back(id); };
  for (int64_t id = 0; id < 9; ++id) push(id, 0);
  queue.hand_out(give);
  REQUIRE(given.size() == 9);
  push(10, 1);
  push(11, 0);
  push(12, -1);
  queue.take_back(std::vector<int64_t>{8});
  for (int64_t id = 0; id < 8; ++id) queue.remove(id);
  given.clear();
  queue.hand_out(give);
  CHECK(given == std::vector<int64_t>{12, 8, 11, 10});
}
