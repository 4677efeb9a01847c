#include "base/write_signals.h"

#include <csignal>
#include <initializer_list>

namespace ll {

void ignore_write_signals() {
  for (int signal : {SIGXFSZ, SIGPIPE}) std::signal(signal, SIG_IGN);
}

}  // namespace ll
