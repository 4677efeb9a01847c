#pragma once
// What a stream's products have measured and chosen, and LinearTuning's watch over them.
#include <map>
#include <string>
#include <vector>

#include "kernels/cuda/linear/linear_choice.h"
#include "kernels/linear_tuning.h"

namespace ll::cuda {

class LinearChoices {
 public:
  // Null before keep().
  LinearChoice* find(const LinearKey& key);
  LinearChoice& keep(const LinearKey& key, LinearChoice choice);
  // Called for each product that is done and has a choice.
  void note(const LinearKey& key, const LinearArgs& a);

  // See LinearTuning.
  void watch();
  std::vector<std::vector<std::string>> ways();
  void choose(int shape, int way, bool is_early);
  std::string describe(int shape);

 private:
  struct Watched {
    LinearKey key;
    int num_products;
  };
  LinearChoice& watched_choice(int shape);

  std::map<LinearKey, LinearChoice> by_key_;
  bool is_watching_ = false;
  std::vector<Watched> watched_;
};

LinearChoices& linear_choices(Stream stream);

const LinearTuning& linear_tuning();

}  // namespace ll::cuda
