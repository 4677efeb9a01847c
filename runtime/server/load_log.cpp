#include "runtime/server/load_log.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/check.h"

namespace ll {

LoadLog::LoadLog(Service& service) : service_(service) {
  const ServerOptions& o = service.config.server;
  if (o.access_log == "-") access_ = stderr;
  if (!o.access_log.empty() && !access_) {
    own_.reset(std::fopen(o.access_log.c_str(), "ae"));
    check(own_ != nullptr, "server.access_log = {}: cannot open: {}", o.access_log,
          std::strerror(errno));
    access_ = own_.get();
  }
  if (access_) service.open.on_end([this](const RequestSummary& s) { note(s); });
  if (o.log_interval_s > 0) service.http.post([this] { wait(); });
}

void LoadLog::wait() {
  timer_ = service_.http.after(std::chrono::seconds(service_.config.server.log_interval_s), [this] {
    print();
    wait();
  });
}

void LoadLog::print() {
  auto now = Clock::now();
  double seconds = std::chrono::duration<double>(now - printed_).count();
  const SchedulerStats& load = service_.metrics.load();
  int64_t tokens = service_.metrics.num_tokens() - tokens_before_;
  int64_t prompts = load.prompt_tokens - before_.prompt_tokens;
  int64_t cached = load.cached_tokens - before_.cached_tokens;
  int64_t ended = service_.metrics.num_ended() - ended_before_;
  printed_ = now, before_ = load;
  tokens_before_ += tokens, ended_before_ += ended;
  if (tokens + prompts + ended + load.num_running + load.num_waiting == 0) return;
  fmt::print(stderr,
             "running {}, waiting {}, KV {:.1f}%, in {:.0f} tok/s ({:.0f}% cached), out {:.0f} "
             "tok/s, {:.1f} answers/s\n",
             load.num_running, load.num_waiting, 100 * load.kv_usage,
             static_cast<double>(prompts) / seconds,
             prompts > 0 ? 100.0 * static_cast<double>(cached) / static_cast<double>(prompts) : 0.0,
             static_cast<double>(tokens) / seconds, static_cast<double>(ended) / seconds);
}

void LoadLog::note(const RequestSummary& s) {
  std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  char when[32];
  std::strftime(when, sizeof when, "%FT%TZ", &parts);
  fmt::print(access_,
             R"({{"time":"{}","request":{},"status":{},"outcome":"{}","prompt_tokens":{},)"
             R"("completion_tokens":{},"queue_s":{:.4f},"first_token_s":{:.4f},"total_s":{:.4f}}})"
             "\n",
             when, s.id, s.status, s.outcome, s.prompt_tokens, s.tokens, s.times.started,
             s.times.first_token, s.times.end);
  std::fflush(access_);
}

}  // namespace ll
