// A doctest program that runs under mpirun: all ranks run all tests; the program fails when any
// rank's does. Ranks above 0 only print what fails.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "tests/support/world.h"

int main(int argc, char** argv) {
  ll::MpiEnvironment mpi(&argc, &argv);
  ll::test::g_mpi = &mpi;
  doctest::Context context(argc, argv);
  if (mpi.world().rank() > 0) {
    context.setOption("minimal", true);
    context.setOption("no-intro", true);
  }
  int failed = context.run() != 0;
  bool any = mpi.world().max(failed) > 0;
  return any ? 1 : 0;
}
