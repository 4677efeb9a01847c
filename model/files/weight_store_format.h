#pragma once
// The names in a weight file; weight_store.h describes it.

namespace ll {

constexpr int kWeightFormat = 1;
constexpr const char* kTextGroup = "litelang";
constexpr const char* kHashGroup = "litelang/sha256";
constexpr const char* kFormatAttribute = "litelang_format";
constexpr const char* kVersionAttribute = "litelang_version";
constexpr const char* kSumsAttribute = "litelang_xxh64";
constexpr const char* kSetAttribute = "litelang_set";

}  // namespace ll
