#pragma once
// One thing that the programs are made of, or run on.
#include <string>

namespace ll {

struct VersionRow {
  std::string name;   // "HDF5"
  std::string built;  // what it was when this was built, "1.10.8"; "no": it is not in the build
  std::string found;  // what is there where this runs; empty: nothing that could be another
};

}  // namespace ll
