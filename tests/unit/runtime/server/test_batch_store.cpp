#include "runtime/server/batches/batch_store.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "runtime/server/batches/batch_check.h"
#include "runtime/server/batches/object_list.h"
#include "runtime/server/url_text.h"

using namespace ll;

namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/litelang_store_XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

BatchObject some_batch() {
  BatchObject b{.id = BatchStore::new_id("batch_"),
                .endpoint = "/v1/completions",
                .input_file_id = "file-1",
                .completion_window = "24h"};
  b.times = {{"created_at", 5}, {"expires_at", 100}};
  return b;
}

}  // namespace

TEST_CASE("store: files and batches outlive it") {
  Folder folder;
  BatchObject batch = some_batch();
  {
    BatchStore store(folder.path());
    store.add_file(
        {.id = "file-1", .filename = "a\"b", .purpose = "batch", .bytes = 3, .created_at = 4});
    store.add_batch(batch);
    CHECK(store.is_in_use("file-1"));
    CHECK_THROWS_WITH_AS(BatchStore{folder.path()}, doctest::Contains("another server uses it"),
                         Error);
    store.update(batch.id, [](BatchObject& b) {
      b.status = BatchStatus::kFailed;
      b.total = 7, b.completed = 4, b.failed = 3;
      b.faults = {{"invalid_line", "not a \"JSON\" object", "", 3}};
      b.metadata = R"({"a": "b"})";
    });
    folder.write("files/file-2.upload", "half");
  }
  BatchStore store(folder.path());
  CHECK(store.file("file-1")->filename == "a\"b");
  CHECK_FALSE(store.file("file-2").has_value());
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/files/file-2.upload"));
  BatchObject there = store.batch(batch.id).value();
  CHECK(there.status == BatchStatus::kFailed);
  CHECK(there.faults.at(0).line == 3);
  CHECK(json_of(there) ==
        R"({"id":")" + batch.id +
            R"(","object":"batch","endpoint":"/v1/completions","errors":{"object":"list","data":)"
            R"([{"code":"invalid_line","message":"not a \"JSON\" object","param":null,"line":3}]},)"
            R"("input_file_id":"file-1","completion_window":"24h","status":"failed",)"
            R"("output_file_id":null,"error_file_id":null,"created_at":5,"in_progress_at":null,)"
            R"("expires_at":100,"finalizing_at":null,"completed_at":null,"failed_at":null,)"
            R"("expired_at":null,"cancelling_at":null,"cancelled_at":null,"request_counts":)"
            R"({"total":7,"completed":4,"failed":3},"metadata":{"a": "b"}})");
  CHECK_FALSE(store.is_in_use("file-1"));
  store.remove_file("file-1");
  CHECK(store.files().empty());
}

TEST_CASE("store: lists come in pages, the newest first") {
  Folder folder;
  BatchStore store(folder.path());
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(BatchStore::new_id("file-"));
    store.add_file({.id = ids.back(), .filename = "x", .purpose = "batch", .created_at = 9});
  }
  HttpRequest q;
  q.query = "limit=2&after=" + ids[3];
  std::string page = page_json(store.files(), page_wish(q, 20, 100));
  CHECK(page.find(R"("first_id":")" + ids[2] + R"(","last_id":")" + ids[1] +
                  R"(","has_more":true)") != page.npos);
  q.query = "after=" + ids[0];
  CHECK(page_json(store.files(), page_wish(q, 20, 100)) ==
        R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
  for (const char* limit : {"limit=0", "limit=x", "limit=-1"}) {
    q.query = limit;
    CHECK_THROWS_AS(page_wish(q, 20, 100), Error);
  }
  CHECK(query_value("a=1&b=%2F%zz&c", "b") == "/%zz");
  CHECK(query_value("a=1&b=2&c", "c").empty());
}

TEST_CASE("batch: what is wrong with a file shows before any of it runs") {
  Folder folder;
  auto check = [&](const std::string& text) {
    return check_batch_file(folder.write("in.jsonl", text), "/v1/completions", 1000,
                            [] { return false; });
  };
  std::string good = R"({"custom_id": "a", "url": "/v1/completions", "body": {}})";
  CHECK(check(good + "\n\n").faults.empty());
  CHECK(check(good + "\n\n").num_requests == 1);
  CHECK(check("\n").faults.at(0).code == "empty_file");
  BatchCheck twice = check(good + "\n" + good + "\nnothing\n");
  REQUIRE(twice.faults.size() == 2);
  CHECK(twice.faults[0].line == 2);
  CHECK(twice.faults[0].message == "custom_id: a stands on an earlier line, too");
  CHECK(check(R"({"custom_id": "a", "url": "/v1/chat/completions", "body": {}})").faults.size() ==
        1);
  CHECK(check(R"({"custom_id": "a", "url": "/v1/completions"})").faults.size() == 1);
  CHECK(check(std::string(2000, ' ')).faults.size() == 1);
}
