#pragma once
// Other programs, run so that a caller of this one notices no difference.
#include <string>
#include <vector>

namespace ll {

constexpr int kNoInput = -1;

// Runs a program to its end and returns its exit code, or 128 plus the signal that ended it.
// Signals that ask this process to end or that users define go to the child; the child ends with
// this process. Its standard input is the open descriptor `input`, or nothing (kNoInput). Throws
// Error when the program cannot be started.
int run_child(const std::vector<std::string>& command, int input);

// The program takes this process's place.
[[noreturn]] void become(const std::vector<std::string>& command);

// Path of a program that is installed beside this one; throws Error when it is not there.
std::string program_beside(const std::string& name);
// Path of a program on PATH; empty when there is none.
std::string program_on_path(const std::string& name);

}  // namespace ll
