#include "model/text/jinja/builtins/clock.h"

#include <time.h>

#include <array>
#include <cstdlib>

#include "base/check.h"

namespace ll::jinja {

namespace {

constexpr size_t kMaxFormat = 1024;

struct Now {
  tm parts{};
  long microseconds = 0;
};

Now now() {
  Now now;
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
    char* end = nullptr;
    auto seconds = static_cast<time_t>(std::strtoll(epoch, &end, 10));
    check(*end == '\0' && gmtime_r(&seconds, &now.parts) != nullptr,
          "SOURCE_DATE_EPOCH is '{}', which is no number of seconds", epoch);
    return now;
  }
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  localtime_r(&time.tv_sec, &now.parts);
  now.microseconds = time.tv_nsec / 1000;
  return now;
}

// Python's %f, and its %z and %Z of a time that knows no zone.
std::string without_python_codes(std::string_view format, long microseconds) {
  std::string plain;
  for (size_t i = 0; i < format.size(); ++i) {
    char code = format[i] == '%' && i + 1 < format.size() ? format[i + 1] : '\0';
    if (code == '\0') {
      plain += format[i];
      continue;
    }
    ++i;
    if (code == 'f')
      plain += fmt::format("{:06}", microseconds);
    else if (code != 'z' && code != 'Z')
      plain.append({'%', code});
  }
  return plain;
}

}  // namespace

std::string format_now(std::string_view format) {
  check(format.size() <= kMaxFormat, "a format of time of {} bytes, more than the {} allowed",
        format.size(), kMaxFormat);
  Now time = now();
  std::string plain = without_python_codes(format, time.microseconds);
  if (plain.empty()) return plain;
  // Its output may be empty, which only a character of ours tells from too long.
  plain += '.';
  std::array<char, 64 * kMaxFormat> text;
  size_t size = strftime(text.data(), text.size(), plain.c_str(), &time.parts);
  check(size > 0, "a format of time gives a text that is too long");
  return {text.data(), size - 1};
}

}  // namespace ll::jinja
