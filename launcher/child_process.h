#pragma once
// Other programs, run so that a caller of this one notices no difference.
#include <csignal>
#include <string>
#include <vector>

namespace ll {

constexpr int kNoInput = -1;
// Added to the number of the signal that ended a child, as shells do.
constexpr int kSignalled = 128;

struct ChildEnd {
  int code = 0;            // its exit code, or kSignalled plus the signal that ended it
  bool was_asked = false;  // a signal asked this process to end; the child got it, too
};

// Runs a program to its end. Signals that ask this process to end or that users define go to the
// child, the first SIGTERM as `soft_end`; the child ends with this process. Where interrupts are
// softened, SIGINT is treated alike, and a terminal's Ctrl-C does not reach the child otherwise.
// A SIGUSR1 goes to what the child started of the program `ranks`, too, again and again.
// Its standard input is the open descriptor `input`, or nothing (kNoInput). Throws Error when the
// program cannot be started.
ChildEnd run_child(const std::vector<std::string>& command, int input, const std::string& ranks,
                   int soft_end = SIGTERM, bool softens_interrupts = false);

// The program takes this process's place.
[[noreturn]] void become(const std::vector<std::string>& command);

// Path of a program that is installed beside this one; throws Error when it is not there.
std::string program_beside(const std::string& name);
// Path of a program on PATH; empty when there is none.
std::string program_on_path(const std::string& name);

}  // namespace ll
