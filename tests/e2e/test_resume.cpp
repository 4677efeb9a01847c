// A batch that is ended in any way goes on where it was: every request is answered once, and with
// float32 by the same lines as in one run.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <set>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

Batch batch_of(int np, std::vector<std::string> sets = {}) {
  sets.insert(sets.begin(), {"kv_cache.radix=false", "scheduler.max_num_seqs=64"});
  return {.np = np, .sets = sets};
}

struct ResumedJob : BatchFiles {
  using BatchFiles::BatchFiles;
  Outcome run(const Batch& batch) const { return ll::test::run(command(batch), kSameBytes); }
};

// A rank that was killed, a while after its run had its first answer.
void kill_a_rank(const ResumedJob& job, int np, std::mt19937& random) {
  auto answered = [&] {
    std::error_code none;
    auto bytes = std::filesystem::file_size(job.partial, none);
    return none ? 0 : bytes;
  };
  auto before = answered();
  Process process(job.command(batch_of(np)), kSameBytes);
  REQUIRE(wait_until([&] { return answered() > before; }, std::chrono::seconds(60)));
  std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
  pid_t rank = process.rank(static_cast<int>(random() % static_cast<unsigned>(np)));
  if (rank > 0) kill(rank, SIGKILL);
  Outcome o = process.wait(std::chrono::seconds(60));
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code != 0);
  CHECK(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(10)));
}

}  // namespace

TEST_CASE("twenty times a random rank is killed") {
  constexpr int kRequests = 5000, kKills = 20, kRanks = 2;
  ResumedJob whole(full_length_requests(kRequests, 3)), job(full_length_requests(kRequests, 3));
  Outcome o = whole.run(batch_of(kRanks));
  REQUIRE(o.exit_code == 0);
  std::mt19937 random(22);
  for (int i = 0; i < kKills; ++i) {
    kill_a_rank(job, kRanks, random);
    REQUIRE_FALSE(std::filesystem::exists(job.out));
  }
  size_t before = lines_of(read_file(job.partial)).size();
  Outcome last = job.run(batch_of(kRanks));
  INFO(last.err);
  REQUIRE(last.exit_code == 0);
  auto lines = job.sorted(job.out);
  std::set<std::string> distinct(lines.begin(), lines.end());
  fmt::print("{} requests, {} kills: {} answers, {} distinct; {} before the last run\n", kRequests,
             kKills, lines.size(), distinct.size(), before);
  CHECK(lines.size() == kRequests);
  CHECK(distinct.size() == kRequests);
  CHECK(lines == whole.sorted(whole.out));
}

TEST_CASE("a torn line, another grid, other sizes, another order: the same answers") {
  ResumedJob whole(full_length_requests(400, 3)), job(full_length_requests(400, 3));
  REQUIRE(whole.run(batch_of(1, {"job.output_order=input"})).exit_code == 0);
  CHECK(lines_of(read_file(whole.out)).at(6).starts_with(R"({"id":"batch_req_7",)"));
  std::mt19937 random(1);
  kill_a_rank(job, 1, random);
  size_t answered = lines_of(read_file(job.partial)).size();
  REQUIRE(answered > 1);
  std::filesystem::resize_file(job.partial, std::filesystem::file_size(job.partial) - 5);

  Outcome rest = job.run(batch_of(2, {"scheduler.max_num_seqs=5"}));
  INFO(rest.err);
  CHECK(rest.exit_code == 0);
  CHECK(rest.err.find(fmt::format("resumed        {} of 400 answered before", answered - 1)) !=
        rest.err.npos);
  CHECK(rest.err.find("a torn line of") != rest.err.npos);
  CHECK(job.sorted(job.out) == whole.sorted(whole.out));

  Outcome again = job.run(batch_of(2));
  CHECK(again.exit_code == 0);
  CHECK(again.err.find("is complete; all of its 400 lines") != again.err.npos);
  CHECK(job.sorted(job.out) == whole.sorted(whole.out));
}

TEST_CASE("another input, model, dtype or seed is refused") {
  ResumedJob job(full_length_requests(3000, 3));
  {
    Process process(job.command(batch_of(1)), kSameBytes);
    REQUIRE(wait_until([&] { return !read_file(job.partial).empty(); }, std::chrono::seconds(30)));
    // Two at a time.
    Outcome second = job.run(batch_of(1));
    CHECK(second.exit_code == 1);
    CHECK(second.err.find("out.partial: is being written by another job: process") !=
          second.err.npos);
    process.signal(SIGKILL);
    process.wait();
    REQUIRE(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(10)));
  }
  auto refuses = [&](const Batch& batch, const std::string& part) {
    Outcome o = job.run(batch);
    INFO(o.err);
    CAPTURE(part);
    CHECK(o.exit_code == 2);
    CHECK(o.err.find(part) != o.err.npos);
    CHECK(lines_of(o.err).size() == 1);
  };
  refuses(batch_of(1, {"seed=5"}), "another seed: 0, and now it is 5");
  refuses(batch_of(1, {"model.dtype=bfloat16"}), "another dtype: float32, and now it is bfloat16");
  Batch other = batch_of(1);
  other.model = model_file("random-hd64");
  refuses(other, "another model");
  Batch same = batch_of(1);  // the folder that the weight file was made of
  same.model = model_folder("tiny-qwen2-docs");
  job.folder.write("in", full_length_requests(3000, 3) + "\n");
  refuses(batch_of(1), "holds answers to another input: sha256 ");
  job.folder.write("in", full_length_requests(3000, 3));
  CHECK(job.run(same).exit_code == 0);
  CHECK(lines_of(read_file(job.out)).size() == 3000);
}

TEST_CASE("a folder that vanishes under a job ends it") {
  ResumedJob job(full_length_requests(200, 3000));
  std::filesystem::create_directory(job.folder.path("gone"));
  std::string first = full_length_requests(1, 2) + full_length_requests(200, 3000);
  Process process(
      batch_command(batch_of(1), job.folder.write("in2", first), job.folder.path("gone/out")));
  REQUIRE(wait_until([&] { return !read_file(job.folder.path("gone/out.partial")).empty(); },
                     std::chrono::seconds(30)));
  std::filesystem::remove_all(job.folder.path("gone"));
  Outcome o = process.wait(std::chrono::seconds(60));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code == 1);
  CHECK(o.err.find("gone/out.partial: was removed while it was written") != o.err.npos);
}

TEST_CASE("a full disk costs no answer: with room again the job goes on") {
  ResumedJob whole(full_length_requests(800, 3)), job(full_length_requests(800, 3));
  REQUIRE(whole.run(batch_of(2)).exit_code == 0);
  // A file system of the test's own, that is too small at first.
  const char* script =
      "dir=$1 copy=$2; shift 2\n"
      "mount -t tmpfs -o size=128k none $dir || exit 77\n"
      "\"$@\"; echo \"first: $?\" >&2\n"
      "mount -o remount,size=16m $dir\n"
      "\"$@\" && cp $dir/out $copy\n";
  std::string small = job.folder.path("small");
  std::filesystem::create_directory(small);
  std::vector<std::string> command = {"unshare", "-Urm", "bash", "-c",
                                      script,    "bash", small,  job.out};
  for (const std::string& word : batch_command(batch_of(2), job.in, small + "/out"))
    command.push_back(word);
  Outcome o = run(command, kSameBytes);
  INFO(o.err);
  bool is_allowed = o.exit_code != 77 && o.err.find("unshare: ") == o.err.npos;
  if (!is_allowed) {
    MESSAGE("skipped: no file system can be mounted here");
    return;
  }
  CHECK(o.err.find("No space left on device; the lines before are whole: make room and run "
                   "again to go on") != o.err.npos);
  CHECK(o.err.find("first: 1\n") != o.err.npos);
  CHECK(o.err.find("of 800 answered before") != o.err.npos);
  CHECK(o.exit_code == 0);
  CHECK(job.sorted(job.out) == whole.sorted(whole.out));
}

TEST_CASE("parts of one input, each with an output of its own, are the whole") {
  ResumedJob whole(full_length_requests(100, 3)), job(full_length_requests(100, 3));
  REQUIRE(whole.run(batch_of(1)).exit_code == 0);
  std::vector<std::string> lines;
  for (int i = 1; i <= 3; ++i) {
    std::string out = job.folder.path(fmt::format("out{}", i));
    Outcome o =
        run(batch_command(batch_of(1, {fmt::format("job.part={}/3", i)}), job.in, out), kSameBytes);
    INFO(o.err);
    CHECK(o.exit_code == 0);
    for (const std::string& line : lines_of(read_file(out))) lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  CHECK(lines == whole.sorted(whole.out));
}
