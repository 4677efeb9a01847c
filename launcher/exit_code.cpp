#include "launcher/exit_code.h"

#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "parallel/mpi/starter.h"

namespace ll {
namespace {

const char* meaning_of(int signal) {
  switch (signal) {
    case SIGKILL:
      return "somebody killed it, or the system did for want of memory (dmesg tells; see "
             "kv_cache.memory_bytes)";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
      return "somebody asked it to end";
    case kEndedByRank:
      return "it was a rank that did it, as mpirun waited for one that no longer answers";
    case SIGXCPU:
      return "it used up its limit of processor time (ulimit -t)";
    case SIGBUS:
      return "a file it reads was cut short, or shared memory (/dev/shm) is full";
    case SIGILL:
      return "it was built for another processor";
    default:
      return "please report it";
  }
}

}  // namespace

int explained_exit(const ChildEnd& end) {
  for (ExitCode code : {ExitCode::kDone, ExitCode::kError, ExitCode::kUsage, ExitCode::kResumable})
    if (end.code == static_cast<int>(code)) return end.code;
  int signal = end.code - kSignalled;
  if (signal > 0 && signal < NSIG && !end.was_asked)
    fmt::print(stderr, "litelang: a rank, or mpirun, was ended by signal {} ({}): {}\n", signal,
               strsignal(signal), meaning_of(signal));
  return static_cast<int>(ExitCode::kError);
}

}  // namespace ll
