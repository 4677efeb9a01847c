#pragma once
// litelang serve under test, and what its clients need.
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/batch.h"
#include "tests/support/http_client.h"

namespace ll::test {

// A server of the tiny model on a port of its own, until it is told to end.
class Serving {
 public:
  explicit Serving(const std::vector<std::string>& arguments = {});

  int port() const { return port_; }
  std::string endpoint() const { return folder_.path("endpoint"); }
  Process& process() { return process_; }

  HttpReply ask(const std::string& path, const Json& body, std::string_view headers = "") const;
  Json answer(const std::string& path, const Json& body) const;
  HttpReply get(const std::string& path) const;
  // The value of a metric; -1 when it is not there.
  double metric(const std::string& name) const;
  bool becomes(const std::string& name, double value,
               std::chrono::seconds limit = std::chrono::seconds(10)) const;

  // Asks it to end; it ends well.
  void end(int signal = SIGTERM);
  // It was asked to, and ends well.
  void check_end();

 private:
  std::vector<std::string> command(const std::vector<std::string>& arguments) const;

  TempFolder folder_;
  Process process_;
  int port_ = 0;
};

// A body of /v1/completions.
Json greedy(int max_tokens, bool stream = false);

// The events of a stream, without the prefix "data: ".
std::vector<std::string> events_of(const std::string& body);
std::string text_of(const std::vector<std::string>& events);

}  // namespace ll::test
