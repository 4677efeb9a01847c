#pragma once
// "function.name" or 0: the way to a part of an item, as filters take it.
#include <string_view>
#include <vector>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Evaluator;

class AttributePath {
 public:
  // Missing or none: the item itself.
  AttributePath(Evaluator& evaluator, const Value& path);
  // What is undefined on the way becomes `otherwise`, unless that is missing.
  Value of(const Value& item, const Value& otherwise = {}) const;

 private:
  Evaluator* evaluator_;
  std::span<const Value> parts_;
};

}  // namespace ll::jinja
