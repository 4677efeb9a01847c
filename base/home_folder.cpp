#include "base/home_folder.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace ll {

void ensure_home() {
  if (!std::getenv("HOME") && !getpwuid(geteuid())) setenv("HOME", "/", /*overwrite=*/0);
}

}  // namespace ll
