#include "launcher/verify_command.h"

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "launcher/options.h"
#include "model/files/weight_store.h"

namespace ll {

int verify_command(const std::vector<std::string>& arguments) {
  CLI::App app("Reads a weight file and compares it with the checksums that convert made.",
               "litelang verify");
  std::string path;
  app.add_option("MODEL.h5", path, "weight file, or the index of several")->required();
  if (!parse_options(app, arguments)) return static_cast<int>(ExitCode::kDone);
  WeightStore store = WeightStore::open(path);
  WeightStore::Verified verified = store.verify({});
  check(verified.num_without_sum == 0,
        "{}: {} of {} tensors have no checksum, the others are whole; convert the model again for "
        "all of them",
        path, verified.num_without_sum, store.weights().size());
  fmt::print("{}: {} tensors, {:.2f} GB, all as converted\n", path, store.weights().size(),
             static_cast<double>(verified.bytes) / 1e9);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
