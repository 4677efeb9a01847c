#include "tests/e2e/browser.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

namespace ll::test {
namespace {

// Opened for both ways: nobody waits for the other side.
int named_pipe(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("no named pipe");
  return open(path.c_str(), O_RDWR | O_CLOEXEC);
}

// It reads commands from descriptor 3 and writes to 4.
std::vector<std::string> command(const TempFolder& folder) {
  return {"sh", "-c",
          fmt::format("exec {0} --headless --no-sandbox --no-first-run --disable-gpu "
                      "--disable-dev-shm-usage --user-data-dir={1} --remote-debugging-pipe "
                      "3<{2} 4>{3}",
                      Browser::program(), folder.path("profile"), folder.path("to"),
                      folder.path("from"))};
}

}  // namespace

std::string Browser::program() {
  for (const char* path :
       {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"})
    if (access(path, X_OK) == 0) return path;
  return {};
}

Browser::Browser(const std::string& url)
    : to_(named_pipe(folder_.path("to"))),
      from_(named_pipe(folder_.path("from"))),
      process_(command(folder_)) {
  Json target = call("Target.createTarget", {{"url", "about:blank"}});
  session_ = call("Target.attachToTarget",
                  {{"targetId", target["targetId"]}, {"flatten", true}})["sessionId"];
  for (const char* domain : {"Runtime.enable", "Log.enable", "Page.enable"})
    call(domain, Json::object());
  call("Page.navigate", {{"url", url}});
  if (!becomes("location.href !== 'about:blank' && document.readyState === 'complete'"))
    throw std::runtime_error("the page does not load");
}

Browser::~Browser() {
  close(to_);
  close(from_);
}

Json Browser::next_message() {
  size_t end;
  while ((end = received_.find('\0')) == std::string::npos) {
    pollfd ready{.fd = from_, .events = POLLIN, .revents = 0};
    constexpr int kPatienceMs = 20'000;
    if (poll(&ready, 1, kPatienceMs) <= 0)
      throw std::runtime_error("no word from the browser: " + process_.err_so_far());
    char bytes[65536];
    ssize_t size = read(from_, bytes, sizeof bytes);
    if (size > 0) received_.append(bytes, static_cast<size_t>(size));
  }
  Json message = Json::parse(received_.substr(0, end));
  received_.erase(0, end + 1);
  return message;
}

void Browser::note(const Json& event) {
  std::string method = event.value("method", "");
  bool is_security = method == "Log.entryAdded" && event["params"]["entry"]["source"] == "security";
  if (method == "Runtime.exceptionThrown" || is_security) problems_.push_back(event.dump());
}

Json Browser::call(const std::string& method, const Json& params) {
  Json command = {{"id", ++last_id_}, {"method", method}, {"params", params}};
  if (!session_.empty()) command["sessionId"] = session_;
  std::string text = command.dump();
  if (write(to_, text.c_str(), text.size() + 1) < 0) throw std::runtime_error("no browser");
  for (;;) {
    Json message = next_message();
    if (message.value("id", 0) != last_id_) {
      note(message);
      continue;
    }
    if (message.contains("error")) throw std::runtime_error(message["error"].dump());
    return message["result"];
  }
}

Json Browser::evaluate(const std::string& expression) {
  Json result = call("Runtime.evaluate",
                     {{"expression", expression}, {"awaitPromise", true}, {"returnByValue", true}});
  if (result.contains("exceptionDetails"))
    throw std::runtime_error(result["exceptionDetails"].dump());
  return result["result"].value("value", Json());
}

void Browser::press(const std::string& key, int modifiers) {
  Json event = {{"type", "keyDown"}, {"key", key}, {"code", key}, {"modifiers", modifiers}};
  if (key == "Enter") {
    event["text"] = "\r";
    event["windowsVirtualKeyCode"] = 13;
  }
  call("Input.dispatchKeyEvent", event);
  event["type"] = "keyUp";
  event.erase("text");
  call("Input.dispatchKeyEvent", event);
}

void Browser::resize(int width, int height) {
  call("Emulation.setDeviceMetricsOverride",
       {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
}

}  // namespace ll::test
