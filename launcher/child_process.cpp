#include "launcher/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/check_call.h"
#include "launcher/started_ranks.h"

namespace ll {
namespace {

constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
constexpr int kNotFound = 127;  // as shells have it
constexpr timespec kAgain = {.tv_sec = 1, .tv_nsec = 0};

bool is_ignored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Signals this process waits for instead of being interrupted by them. What a caller such as nohup
// had it ignore stays ignored.
sigset_t block_signals(sigset_t& before) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (int signal : kForwarded)
    if (!is_ignored(signal)) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, &before);
  return set;
}

std::vector<char*> pointers(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& text : command) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  return argv;
}

// In the child; does not return.
[[noreturn]] void start(const std::vector<std::string>& command, int input, pid_t parent,
                        const sigset_t& mask, bool has_own_group) {
  if (has_own_group) setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // mpirun then ends its ranks
  if (getppid() != parent) _exit(kNotFound);
  if (input == kNoInput) input = ::open("/dev/null", O_RDONLY);
  if (input > STDIN_FILENO) ::dup2(input, STDIN_FILENO);
  for (int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_DFL);  // what is ignored stays so
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execv(command[0].c_str(), pointers(command).data());
  _exit(kNotFound);
}

// What the terminal sends reaches the child without help: it belongs to the same group.
bool is_from_terminal(const siginfo_t& info) { return info.si_code == SI_KERNEL; }

}  // namespace

ChildEnd run_child(const std::vector<std::string>& command, int input, const std::string& ranks,
                   int soft_end, bool softens_interrupts) {
  sigset_t mask;
  sigset_t waited_for = block_signals(mask);
  pid_t self = getpid(), child = fork();
  check_call(child >= 0, "{}: cannot be started", command[0]);
  if (child == 0) start(command, input, self, mask, softens_interrupts);
  int status = 0;
  ChildEnd end;
  for (bool are_told = false;;) {
    siginfo_t info;
    int signal = sigtimedwait(&waited_for, &info, are_told ? &kAgain : nullptr);
    if (signal == SIGCHLD && waitpid(child, &status, WNOHANG) == child) break;
    // Ranks that were not there yet when the child heard it are told now.
    if (signal < 0 && errno == EAGAIN) signal_started_ranks(child, ranks, SIGUSR1);
    if (signal <= 0 || signal == SIGCHLD) continue;
    end.was_asked |= signal != SIGUSR1 && signal != SIGUSR2;
    if (is_from_terminal(info) && !softens_interrupts) continue;
    bool is_softened = signal == SIGTERM || (signal == SIGINT && softens_interrupts);
    int sent = is_softened ? std::exchange(soft_end, SIGTERM) : signal;
    kill(child, sent);
    are_told |= sent == SIGUSR1;
    if (sent == SIGUSR1) signal_started_ranks(child, ranks, sent);
  }
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  return end;
}

void become(const std::vector<std::string>& command) {
  execv(command[0].c_str(), pointers(command).data());
  fail("{}: cannot be started: {}", command[0], std::strerror(errno));
}

std::string program_beside(const std::string& name) {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::string path = self.parent_path() / name;
  check(!error && ::access(path.c_str(), X_OK) == 0,
        "{}: not found beside litelang; build or install all of litelang's programs together",
        path);
  return path;
}

std::string program_on_path(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string folders = variable ? variable : "";
  for (size_t begin = 0; begin <= folders.size();) {
    size_t end = std::min(folders.find(':', begin), folders.size());
    std::string path = folders.substr(begin, end - begin) + "/" + name;
    if (end > begin && ::access(path.c_str(), X_OK) == 0 && !std::filesystem::is_directory(path))
      return path;
    begin = end + 1;
  }
  return "";
}

}  // namespace ll
