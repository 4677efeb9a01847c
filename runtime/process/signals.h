#pragma once
// Signals, for those who must act on them: write down what is unsaved, let no new work begin, hand
// the job back to the queue, say why the process ends.
#include <sys/types.h>

#include <functional>

namespace ll {

// While this lives, `act` is called whenever `signal` arrives: on a thread of its own, so that it
// may lock, allocate and wait. Of several for one signal the newest is asked first; one that
// returns true has seen to it, and the older are not asked. The last to go restores what the signal
// did before. What this process was started to ignore, as nohup has it, stays ignored. `act` must
// not destroy any of these.
class OnSignal {
 public:
  OnSignal(int signal, std::function<bool()> act);
  // Returns when no `act` of this one runs any more.
  ~OnSignal();
  OnSignal(const OnSignal&) = delete;
  OnSignal& operator=(const OnSignal&) = delete;

  // A signal that somebody listens to is ignored once the last has gone, whatever it did before.
  static void ignore_afterwards(int signal);
  // Who sent the last one that arrived; 0: none did, or the kernel itself.
  static pid_t sender_of(int signal);

 private:
  int signal_;
};

}  // namespace ll
