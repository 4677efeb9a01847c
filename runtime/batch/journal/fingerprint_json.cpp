#include "runtime/batch/journal/fingerprint_json.h"

namespace ll {

JsonFields object_in(const JsonFields& fields, const std::string& name) {
  const JsonTree* tree = fields.find(name);
  check(tree != nullptr, "{}: {} is missing", fields.where(), name);
  return JsonFields(*tree, fmt::format("{}: {}", fields.where(), name));
}

JobFingerprint read_fingerprint(const JsonFields& fields) {
  JobFingerprint f;
  JsonFields input = object_in(fields, "input"), model = object_in(fields, "model");
  f.input_path = input.text("path", "");
  f.input.sha256 = input.text("sha256", "");
  f.input.bytes = input.integer("bytes", 0, INT64_MAX);
  f.input.lines = input.integer("lines", 0, INT64_MAX);
  f.part = parse_line_part(fields.text("part", "1/1"));
  f.model.path = model.text("path", "");
  f.model.fingerprint = model.text("fingerprint", "");
  f.model.dtype = model.text("dtype", "");
  f.model.seed = static_cast<uint64_t>(fields.integer("seed", 0, INT64_MAX));
  return f;
}

void write_fingerprint(const JobFingerprint& f, nlohmann::ordered_json& json) {
  json["input"] = {{"path", f.input_path},
                   {"sha256", f.input.sha256},
                   {"bytes", f.input.bytes},
                   {"lines", f.input.lines}};
  json["part"] = part_text(f.part);
  json["model"] = {
      {"path", f.model.path}, {"fingerprint", f.model.fingerprint}, {"dtype", f.model.dtype}};
  json["seed"] = f.model.seed;
}

}  // namespace ll
