#pragma once
// What transformers computed in float32 for a model of tests/data/models.
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/files/safetensors.h"
#include "tests/support/test_paths.h"

namespace ll::test {

struct GoldenPrompt {
  std::vector<int32_t> ids, greedy;
  std::vector<double> margin,
      logprob;  // of each greedy token: top-1 minus top-2 logit; its log-probability
};

class Golden {
 public:
  explicit Golden(const std::string& model)
      : folder(data_path("models/" + model)),
        tensors_(open_safetensors(folder + "/golden.safetensors")),
        json(nlohmann::json::parse(std::ifstream(folder + "/golden.json"))) {
    for (const auto& p : json["prompts"])
      prompts.push_back({p["input_ids"], p["greedy"], p["margin"], p["logprob"]});
    hidden_of_prompt = json["hidden_of_prompt"];
  }

  std::vector<float> tensor(const std::string& name) const {
    const SafetensorsEntry& e = tensors_.tensors.at(name);
    std::vector<float> values(static_cast<size_t>(e.shape.numel()));
    tensors_.file->read(e.offset, std::as_writable_bytes(std::span(values)));
    return values;
  }

  std::string folder;

 private:
  SafetensorsFile tensors_;

 public:
  nlohmann::json json;
  std::vector<GoldenPrompt> prompts;
  size_t hidden_of_prompt = 0;
};

}  // namespace ll::test
