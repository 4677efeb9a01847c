#include "runtime/config/output_conflict.h"

#include <doctest/doctest.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string conflict_of(const std::string& model, const std::string& input,
                        const std::string& output) {
  EngineConfig config;
  config.model.path = model;
  config.job.input = input;
  return error_of([&] { check_output_is_no_input(config, "job.output", output); });
}

}  // namespace

TEST_CASE("outputs: the input, by whatever name") {
  TemporaryFolder folder;
  write_text(folder / "in", "line\n");
  fs::create_symlink(folder / "in", folder / "link");
  fs::create_hard_link(folder / "in", folder / "twin");
  for (const char* output : {"in", "link", "twin"})
    CHECK(contains(conflict_of("none", folder / "in", folder / output), "is job.input, too"));
  CHECK(conflict_of("none", folder / "in", folder / "out") == "");
  CHECK(conflict_of("none", "-", "-") == "");
  CHECK(conflict_of("none", "/dev/null", "/dev/null") == "");
}

TEST_CASE("outputs: the model and what belongs to it") {
  TemporaryFolder folder;
  for (const char* name : {"m.h5", "m-00001-of-00002.h5", "other.h5", "m-notes.jsonl", "old.jsonl"})
    write_text(folder / name, "text");
  CHECK(contains(conflict_of(folder / "m.h5", "-", folder / "m.h5"), "is model.path, too"));
  CHECK(contains(conflict_of(folder / "m.h5", "-", folder / "m-00001-of-00002.h5"),
                 "is a file of the model"));
  for (const char* output : {"m-notes.jsonl", "old.jsonl", "new.jsonl"})
    CHECK(conflict_of(folder / "m.h5", "-", folder / output) == "");
}

TEST_CASE("outputs: a file of the model's folder, also where that is of links") {
  TemporaryFolder folder;
  fs::create_directory(folder / "model");
  write_text(folder / "blob", "weights");
  fs::create_symlink(folder / "blob", folder / "model/model.safetensors");
  for (const char* name :
       {"model/errors.jsonl", "model/notes.txt", "model/done.txt", "model/done.txt.job"})
    write_text(folder / name, "text");
  write_text(folder / "model/empty.txt", "");
  for (const char* output : {"blob", "model/model.safetensors"})
    CHECK(contains(conflict_of(folder / "model", "-", folder / output), "is a file of the model"));
  CHECK(contains(conflict_of(folder / "model", "-", folder / "model/notes.txt"),
                 "is a file of the model"));
  for (const char* output :
       {"model/new.txt", "model/empty.txt", "model/errors.jsonl", "model/done.txt"})
    CHECK(conflict_of(folder / "model", "-", folder / output) == "");
}
