#include "runtime/config/engine_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <set>

#include "base/check.h"
#include "base/nearest_name.h"
#include "runtime/config/yaml_text.h"

namespace ll {
namespace {

// Where a value stands: "configs/demo.yaml:12: kv_cache.page_size".
struct Place {
  std::string where;
  std::string key;

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_usage("{}: {}: {}", where, key, fmt::format(format, std::forward<Args>(args)...));
  }
};

std::string text_of(const Place& p, const YAML::Node& node) {
  if (!node.IsScalar()) p.fail("expected a single value");
  return node.Scalar();
}

int64_t integer_of(const Place& p, const YAML::Node& node, int64_t low, int64_t high) {
  std::string text = text_of(p, node);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    p.fail("'{}' is not a whole number", text);
  if (value < low || value > high) p.fail("{} is outside {} to {}", value, low, high);
  return value;
}

double number_of(const Place& p, const YAML::Node& node, double low, double high) {
  std::string text = text_of(p, node);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    p.fail("'{}' is not a number", text);
  if (!(value >= low && value <= high)) p.fail("{} is outside {} to {}", text, low, high);
  return value;
}

bool flag_of(const Place& p, const YAML::Node& node) {
  std::string text = text_of(p, node);
  if (text == "true") return true;
  if (text == "false") return false;
  p.fail("'{}' is neither true nor false", text);
}

// "6000000000", "6GB", "6 GiB"
size_t bytes_of(const Place& p, const YAML::Node& node) {
  std::string text = text_of(p, node), unit;
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0)
    p.fail("'{}' is not a size, as 6000000000, 6GB or 6GiB", text);
  for (const char* c = end; c != text.data() + text.size(); ++c)
    if (*c != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  constexpr std::pair<const char*, double> kUnits[] = {
      {"", 1},      {"b", 1},        {"kb", 1e3},     {"mb", 1e6},     {"gb", 1e9},
      {"tb", 1e12}, {"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {"tib", 0x1p40}};
  for (const auto& [name, factor] : kUnits)
    if (unit == name && value * factor < 0x1p60) return static_cast<size_t>(value * factor);
  p.fail("'{}' is not a size, as 6000000000, 6GB or 6GiB", text);
}

template <class E>
E choice_of(const Place& p, const YAML::Node& node,
            const std::vector<std::pair<std::string, E>>& choices) {
  std::string text = text_of(p, node), all;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    all += (all.empty() ? "" : ", ") + name;
  }
  p.fail("'{}' is not one of {}", text, all);
}

using Setter = std::function<void(EngineConfig&, const Place&, const YAML::Node&)>;
struct Key {
  std::string name;
  Setter set;
};

template <class T, class S>
Setter whole(S EngineConfig::*section, T S::*member, int64_t low, int64_t high) {
  return [=](EngineConfig& c, const Place& p, const YAML::Node& n) {
    c.*section.*member = static_cast<T>(integer_of(p, n, low, high));
  };
}
template <class S>
Setter flag(S EngineConfig::*section, bool S::*member) {
  return [=](EngineConfig& c, const Place& p, const YAML::Node& n) {
    c.*section.*member = flag_of(p, n);
  };
}
template <class S>
Setter text(S EngineConfig::*section, std::string S::*member) {
  return [=](EngineConfig& c, const Place& p, const YAML::Node& n) {
    c.*section.*member = text_of(p, n);
  };
}
Setter whole(int64_t DatasetOptions::*member, int64_t low) {
  return [=](EngineConfig& c, const Place& p, const YAML::Node& n) {
    c.bench.data.*member = integer_of(p, n, low, int64_t{1} << 30);
  };
}
Setter grid_part(int GridShape::*member, int64_t low) {
  return [=](EngineConfig& c, const Place& p, const YAML::Node& n) {
    if (!c.grid) c.grid = GridShape{};
    (*c.grid).*member = static_cast<int>(integer_of(p, n, low, 4096));
  };
}

constexpr int64_t kMany = int64_t{1} << 30;

// NOLINTNEXTLINE(readability-function-size): a table
const std::vector<Key>& key_table() {
  using C = EngineConfig;
  static const std::vector<Key> table = {
      {"model.path", text(&C::model, &C::Model::path)},
      {"model.load_format",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.model.load_format = choice_of<C::LoadFormat>(
             p, n, {{"hdf5", C::LoadFormat::kWeights}, {"dummy", C::LoadFormat::kDummy}});
       }},
      {"model.dtype",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.model.dtype = choice_of<std::optional<DType>>(
             p, n, {{"auto", std::nullopt}, {"bfloat16", DType::bf16}, {"float32", DType::f32}});
       }},
      {"model.seed", whole(&C::model, &C::Model::seed, 0, INT64_MAX)},
      {"backend",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.backend = choice_of<C::BackendChoice>(p, n,
                                                 {{"auto", C::BackendChoice::kAuto},
                                                  {"cpu", C::BackendChoice::kCpu},
                                                  {"cuda", C::BackendChoice::kCuda}});
       }},
      {"grid",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.grid = choice_of<std::optional<GridShape>>(p, n, {{"auto", std::nullopt}});
       }},
      {"grid.dp", grid_part(&GridShape::dp, 1)},
      {"grid.x", grid_part(&GridShape::x, 1)},
      {"grid.y", grid_part(&GridShape::y, 1)},
      {"grid.z", grid_part(&GridShape::z, 1)},
      {"grid.heads", grid_part(&GridShape::heads, 0)},
      {"grid.gather_tokens",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.gather_tokens = static_cast<int>(integer_of(p, n, 0, kMany));
       }},
      {"threads",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.threads = static_cast<int>(integer_of(p, n, 0, 4096));
       }},
      {"kv_cache.page_size", whole(&C::kv_cache, &C::KvCache::page_size, 1, 65536)},
      {"kv_cache.memory_bytes",
       [](C& c, const Place& p, const YAML::Node& n) { c.kv_cache.memory_bytes = bytes_of(p, n); }},
      {"kv_cache.gpu_memory_utilization",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.kv_cache.gpu_memory_utilization = number_of(p, n, 0.01, 1);
       }},
      {"kv_cache.radix", flag(&C::kv_cache, &C::KvCache::radix)},
      {"kv_cache.eviction",
       [](C&, const Place& p, const YAML::Node& n) {
         choice_of<int>(p, n, {{"lru", 0}});
       }},
      {"scheduler.max_num_seqs", whole(&C::scheduler, &C::Scheduler::max_num_seqs, 1, 65536)},
      {"scheduler.max_num_batched_tokens",
       whole(&C::scheduler, &C::Scheduler::max_num_batched_tokens, 1, kMany)},
      {"scheduler.chunked_prefill", flag(&C::scheduler, &C::Scheduler::chunked_prefill)},
      {"scheduler.async", flag(&C::scheduler, &C::Scheduler::async)},
      {"scheduler.max_input_length",
       whole(&C::scheduler, &C::Scheduler::max_input_length, 0, kMany)},
      {"scheduler.max_output_length",
       whole(&C::scheduler, &C::Scheduler::max_output_length, 0, kMany)},
      {"scheduler.max_waiting", whole(&C::scheduler, &C::Scheduler::max_waiting, 1, kMany)},
      {"scheduler.busy_scale",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.scheduler.busy_scale = number_of(p, n, 0, 1);
       }},
      {"job.type",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.job.type = choice_of<C::JobType>(
             p, n, {{"batch", C::JobType::kBatch}, {"bench", C::JobType::kBench}});
       }},
      {"job.input", text(&C::job, &C::Job::input)},
      {"job.output", text(&C::job, &C::Job::output)},
      {"job.overwrite", flag(&C::job, &C::Job::overwrite)},
      {"job.max_line_bytes", whole(&C::job, &C::Job::max_line_bytes, 1024, int64_t{1} << 32)},
      {"bench.kind",
       [](C& c, const Place& p, const YAML::Node& n) {
         using Kind = C::Bench::Kind;
         c.bench.kind = choice_of<Kind>(p, n,
                                        {{"throughput", Kind::kThroughput},
                                         {"latency", Kind::kLatency},
                                         {"one-batch", Kind::kOneBatch},
                                         {"startup", Kind::kStartup},
                                         {"grids", Kind::kGrids}});
       }},
      {"bench.dataset",
       [](C& c, const Place& p, const YAML::Node& n) {
         using Kind = DatasetOptions::Kind;
         c.bench.data.kind = choice_of<Kind>(p, n,
                                             {{"random", Kind::kRandom},
                                              {"nano", Kind::kNano},
                                              {"shared-prefix", Kind::kSharedPrefix},
                                              {"jsonl", Kind::kFile}});
       }},
      {"bench.dataset_path",
       [](C& c, const Place& p, const YAML::Node& n) { c.bench.data.path = text_of(p, n); }},
      {"bench.num_prompts", whole(&DatasetOptions::num_prompts, 1)},
      {"bench.input_len", whole(&DatasetOptions::input_len, 1)},
      {"bench.output_len", whole(&DatasetOptions::output_len, 1)},
      {"bench.range_ratio",
       [](C& c, const Place& p, const YAML::Node& n) {
         c.bench.data.range_ratio = number_of(p, n, 0, 1);
       }},
      {"bench.prefix_len", whole(&DatasetOptions::prefix_len, 0)},
      {"bench.seed",
       [](C& c, const Place& p,
          const YAML::Node&
              n) { c.bench.data.seed = static_cast<uint64_t>(integer_of(p, n, 0, INT64_MAX)); }},
      {"bench.batch_size", whole(&C::bench, &C::Bench::batch_size, 1, 65536)},
      {"bench.num_iters", whole(&C::bench, &C::Bench::num_iters, 0, kMany)},
      {"bench.num_iters_warmup", whole(&C::bench, &C::Bench::num_iters_warmup, 0, kMany)},
      {"bench.temperature",
       [](C& c, const Place& p,
          const YAML::Node& n) { c.bench.temperature = number_of(p, n, 0, 100); }},
      {"bench.grids",
       [](C& c, const Place& p, const YAML::Node& n) {
         try {
           c.bench.grids = parse_grids(text_of(p, n));
         } catch (const Error& e) {
           p.fail("{}", e.what());
         }
       }},
      {"bench.output_json", text(&C::bench, &C::Bench::output_json)},
      {"bench.trace", text(&C::bench, &C::Bench::trace)},
      {"bench.trace_steps", whole(&C::bench, &C::Bench::trace_steps, 2, 100000)},
      {"cuda_graph_max_bs",
       [](C& c, const Place& p,
          const YAML::Node&
              n) { c.cuda_graph_max_bs = static_cast<int>(integer_of(p, n, 0, 4096)); }},
      {"enforce_eager",
       [](C& c, const Place& p, const YAML::Node& n) { c.enforce_eager = flag_of(p, n); }},
      {"seed",
       [](C& c, const Place& p,
          const YAML::Node& n) { c.seed = static_cast<uint64_t>(integer_of(p, n, 0, INT64_MAX)); }},
      {"step_timeout_s",
       [](C& c, const Place& p,
          const YAML::Node&
              n) { c.step_timeout_s = static_cast<int>(integer_of(p, n, 0, 1'000'000)); }},
      {"load_threads",
       [](C& c, const Place& p,
          const YAML::Node& n) { c.load_threads = static_cast<int>(integer_of(p, n, 1, 64)); }},
  };
  return table;
}

bool is_unset(const YAML::Node& node) {
  return node.IsNull() || (node.IsMap() && node.size() == 0);
}

// A key or a section with nothing behind it keeps its defaults.
void set_key(EngineConfig& config, const Place& place, const YAML::Node& node) {
  for (const Key& key : key_table())
    if (key.name == place.key) return is_unset(node) ? void() : key.set(config, place, node);
  bool is_section = std::any_of(key_table().begin(), key_table().end(),
                                [&](const Key& k) { return k.name.starts_with(place.key + "."); });
  if (is_section && is_unset(node)) return;
  if (is_section) place.fail("is a section; its keys go below it");
  std::string near = nearest_name(place.key, EngineConfig::keys());
  fail_usage("{}: unknown key {}{}", place.where, place.key,
             near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

void read_map(EngineConfig& config, const YAML::Node& map, const std::string& prefix,
              std::string_view where, std::set<std::string>& seen) {
  for (const auto& entry : map) {
    Place place{fmt::format("{}:{}", where, entry.first.Mark().line + 1), prefix};
    if (!entry.first.IsScalar()) place.fail("a key must be a plain word");
    place.key += entry.first.Scalar();
    if (!seen.insert(place.key).second) place.fail("given twice");
    if (prefix.empty() && entry.second.IsMap() && !is_unset(entry.second))
      read_map(config, entry.second, place.key + ".", where, seen);
    else
      set_key(config, place, entry.second);
  }
}

void apply_override(EngineConfig& config, const std::string& override_text,
                    std::set<std::string>& seen) {
  size_t equals = override_text.find('=');
  if (equals == std::string::npos) fail_usage("--set {}: expected key.path=value", override_text);
  Place place{"--set", override_text.substr(0, equals)};
  set_key(config, place, YAML::Node(override_text.substr(equals + 1)));
  seen.insert(place.key);
}

// A step of prompts has at least one, and all that runs is what is measured.
void fit_to_grids(EngineConfig& c, const std::set<std::string>& given) {
  auto& s = c.scheduler;
  int64_t length = c.bench.data.input_len, batch = c.bench.batch_size;
  if (!given.contains("scheduler.max_num_batched_tokens"))
    s.max_num_batched_tokens =
        static_cast<int>(std::max({int64_t{s.max_num_batched_tokens}, length, batch}));
  if (!given.contains("scheduler.max_num_seqs"))
    s.max_num_seqs = static_cast<int>(std::max(batch, s.max_num_batched_tokens / length));
}

// A batch that is measured runs as one, with its prompts in one step where a step is what is
// measured, unless the user says otherwise.
void fit_to_bench(EngineConfig& c, const std::set<std::string>& given) {
  using Kind = EngineConfig::Bench::Kind;
  bool is_one_batch = c.bench.kind == Kind::kOneBatch, is_grids = c.bench.kind == Kind::kGrids;
  if (c.job.type != EngineConfig::JobType::kBench) return;
  if (c.bench.data.kind == DatasetOptions::Kind::kNano && !given.contains("bench.num_prompts"))
    c.bench.data.num_prompts = kNanoPrompts;
  if (is_grids) return fit_to_grids(c, given);
  if (!is_one_batch && c.bench.kind != Kind::kLatency) return;
  auto& s = c.scheduler;
  if (!given.contains("scheduler.max_num_seqs"))
    s.max_num_seqs = std::max(s.max_num_seqs, c.bench.batch_size);
  if (given.contains("scheduler.max_num_batched_tokens")) return;
  int64_t prompts =
      is_one_batch ? c.bench.batch_size * c.bench.data.input_len : s.max_num_batched_tokens;
  s.max_num_batched_tokens = static_cast<int>(std::clamp<int64_t>(prompts, s.max_num_seqs, kMany));
}

void check_bench(const EngineConfig& c, std::string_view where) {
  using Dataset = DatasetOptions::Kind;
  if (c.bench.kind != EngineConfig::Bench::Kind::kThroughput &&
      c.bench.data.kind != Dataset::kRandom)
    fail_usage("{}: bench.dataset is of throughput; the other kinds run random prompts", where);
  if (c.bench.kind == EngineConfig::Bench::Kind::kGrids && c.grid)
    fail_usage("{}: grid is not of bench.kind grids, which runs on those of bench.grids", where);
  if (c.bench.kind != EngineConfig::Bench::Kind::kGrids && !c.bench.grids.empty())
    fail_usage("{}: bench.grids is of bench.kind grids", where);
  if (c.bench.data.kind == Dataset::kFile && c.bench.data.path.empty())
    fail_usage("{}: bench.dataset_path is missing; give a JSONL file", where);
}

void check_whole(const EngineConfig& c, std::string_view where) {
  if (c.model.path.empty())
    fail_usage("{}: model.path is missing; give a .h5 file or a Hugging Face folder", where);
  if (c.scheduler.max_num_batched_tokens < c.scheduler.max_num_seqs)
    fail_usage(
        "{}: scheduler.max_num_batched_tokens = {} is below scheduler.max_num_seqs = {}; every "
        "running sequence needs one token a step",
        where, c.scheduler.max_num_batched_tokens, c.scheduler.max_num_seqs);
  if (c.job.type == EngineConfig::JobType::kBench) check_bench(c, where);
}

}  // namespace

std::vector<std::string> EngineConfig::keys() {
  std::vector<std::string> names;
  for (const Key& key : key_table()) names.push_back(key.name);
  return names;
}

EngineConfig EngineConfig::from_yaml(std::string_view text, std::string_view where,
                                     const std::vector<std::string>& overrides) {
  EngineConfig config;
  std::set<std::string> given;
  try {
    bool has_content = check_one_document(text, where);
    YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap() && (!root.IsNull() || has_content))
      fail_usage("{}: expected a map of keys", where);
    if (root.IsMap()) read_map(config, root, "", where, given);
  } catch (const YAML::Exception& e) {
    fail_usage("{}:{}: not valid YAML: {}", where, e.mark.line + 1, e.msg);
  }
  for (const std::string& o : overrides) apply_override(config, o, given);
  fit_to_bench(config, given);
  check_whole(config, where);
  return config;
}

}  // namespace ll
