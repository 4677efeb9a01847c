#pragma once
// Where a build's tests find what they read. Paths are known to one object alone, so that all
// others are the same in every checkout.
#include <string>

namespace ll::test {

// tests/data/`path`; folders and files of the repository.
std::string data_path(const std::string& path);
std::string repository_path(const std::string& path);

}  // namespace ll::test
