#include "runtime/batch/manifest.h"

#include <fmt/chrono.h>

#include <ctime>

#include "base/durable_file.h"
#include "base/input_file.h"
#include "runtime/batch/journal/fingerprint_json.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kFormat = 1;
constexpr uint64_t kMaxBytes = 64 << 20;
constexpr double kMost = 1e18;

// One list for reading, writing and adding up.
struct Count {
  const char* name;
  int64_t JobWork::*value;
};
constexpr Count kCounts[] = {{"prompt_tokens", &JobWork::prompt_tokens},
                             {"cached_tokens", &JobWork::cached_tokens},
                             {"output_tokens", &JobWork::output_tokens}};

Json json_of(const TextPairs& pairs) {
  Json json = Json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return json;
}

void add_cost(Json& json, const Cost& cost, const std::string& prefix = "") {
  json[prefix + "computed_tokens"] = cost.computed_tokens;
  json[prefix + "device_seconds"] = cost.device_seconds;
  if (cost.joules > 0) json[prefix + "joules"] = cost.joules;
}

void add_work(Json& json, const JobWork& work) {
  for (const Count& count : kCounts) json[count.name] = work.*count.value;
  add_cost(json, work.cost);
  if (work.given_back.device_seconds > 0) add_cost(json, work.given_back, "given_back_");
}

Cost read_cost(const JsonFields& fields, const std::string& prefix = "") {
  return {.device_seconds = fields.number(prefix + "device_seconds", 0, kMost, 0),
          .joules = fields.number(prefix + "joules", 0, kMost, 0),
          .computed_tokens = fields.integer(prefix + "computed_tokens", 0, INT64_MAX, 0)};
}

Json json_of(const JobLife& life) {
  auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json hosts = Json::array();
  for (const HostRanks& h : life.hosts)
    hosts.push_back({{"host", h.host}, {"device", h.device}, {"ranks", h.ranks}});
  Json json = {{"begin", life.begin},
               {"end", text_or_null(life.end)},
               {"exit", text_or_null(life.exit)},
               {"slurm_job", text_or_null(life.writer.slurm_job)},
               {"host", life.writer.host},
               {"pid", life.writer.pid},
               {"grid", life.grid},
               {"hosts", hosts},
               {"kv_tokens", life.kv_tokens},
               {"answered_before", life.answered_before},
               {"answered", life.answered}};
  add_work(json, life.work);
  return json;
}

JobLife read_life(const JsonFields& fields) {
  JobLife life{.begin = fields.text("begin", ""),
               .end = fields.text("end", ""),
               .exit = fields.text("exit", ""),
               .writer = {.host = fields.text("host", ""),
                          .pid = fields.integer("pid", 0, INT64_MAX, 0),
                          .slurm_job = fields.text("slurm_job", "")},
               .grid = fields.text("grid", ""),
               .kv_tokens = fields.integer("kv_tokens", 0, INT64_MAX, 0),
               .answered_before = fields.integer("answered_before", 0, INT64_MAX, 0),
               .answered = fields.integer("answered", 0, INT64_MAX, 0),
               .work = {.cost = read_cost(fields), .given_back = read_cost(fields, "given_back_")}};
  for (const Count& count : kCounts)
    life.work.*count.value = fields.integer(count.name, 0, INT64_MAX, 0);
  const JsonTree* hosts = fields.find("hosts");
  if (!hosts) return life;
  for (const auto& member : hosts->members) {
    JsonFields host(member.value, fields.where());
    life.hosts.push_back(
        {host.text("host", ""), host.text("device", ""), host.integer("ranks", 0, INT64_MAX, 0)});
  }
  return life;
}

TextPairs read_pairs(const JsonFields& fields, const std::string& name) {
  TextPairs pairs;
  JsonFields object = object_in(fields, name);
  for (const auto& member : fields.find(name)->members)
    pairs.emplace_back(member.key, object.text(member.key, ""));
  return pairs;
}

Json totals(const std::vector<JobLife>& lives) {
  JobWork sum;
  for (const JobLife& life : lives) {
    for (const Count& count : kCounts) sum.*count.value += life.work.*count.value;
    sum.cost += life.work.cost;
    sum.given_back += life.work.given_back;
  }
  Json json;
  add_work(json, sum);
  return json;
}

}  // namespace

std::string utc_text(int64_t time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time)));
}

Manifest Manifest::read(const std::string& path) {
  JsonTree tree = JsonTree::parse(InputFile(path).read_all(kMaxBytes), path);
  JsonFields fields(tree, path);
  check(fields.has("lives") && fields.has("configuration"),
        "{}: is no manifest of a litelang batch", path);
  int64_t format = fields.integer("format", 0, INT64_MAX);
  check(format == kFormat, "{}: is of format {}; this version knows {}", path, format, kFormat);
  Manifest m;
  JsonFields program = object_in(fields, "program"), output = object_in(fields, "output");
  m.program = program.text("version", "");
  m.commit = program.text("commit", "");
  m.libraries = read_pairs(program, "libraries");
  m.configuration = read_pairs(fields, "configuration");
  m.fingerprint = read_fingerprint(fields);
  m.weights = object_in(fields, "model").text("weights", "");
  m.output = output.text("path", "");
  m.error_file = output.text("error_file", "");
  m.is_complete = output.flag("complete", false);
  m.counts = {.total = output.integer("answered", 0, INT64_MAX, 0),
              .failed = output.integer("failed", 0, INT64_MAX, 0)};
  for (const auto& member : fields.find("lives")->members)
    m.lives.push_back(read_life(JsonFields(member.value, path + ": lives")));
  return m;
}

void Manifest::write(const std::string& path) const {
  Json json = {
      {"format", kFormat},
      {"program", {{"version", program}, {"commit", commit}, {"libraries", json_of(libraries)}}}};
  write_fingerprint(fingerprint, json);
  if (!weights.empty()) json["model"]["weights"] = weights;
  json["configuration"] = json_of(configuration);
  json["output"] = {{"path", output},
                    {"complete", is_complete},
                    {"answered", counts.total},
                    {"failed", counts.failed}};
  if (!error_file.empty()) json["output"]["error_file"] = error_file;
  json["totals"] = totals(lives);
  json["lives"] = Json::array();
  for (const JobLife& life : lives) json["lives"].push_back(json_of(life));
  write_durably(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace ll
