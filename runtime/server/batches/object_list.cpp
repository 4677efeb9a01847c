#include "runtime/server/batches/object_list.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/printable.h"
#include "runtime/server/api_error.h"
#include "runtime/server/url_text.h"

namespace ll {

PageWish page_wish(const HttpRequest& q, size_t usual_limit, size_t highest_limit) {
  PageWish wish{.limit = usual_limit, .after = query_value(q.query, "after")};
  std::string limit = query_value(q.query, "limit");
  if (limit.empty()) return wish;
  auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), wish.limit);
  check(error == std::errc() && end == limit.data() + limit.size() && wish.limit > 0,
        "limit: {} is not a whole number from 1 on", printable(limit, 40));
  wish.limit = std::min(wish.limit, highest_limit);
  return wish;
}

HttpResponse no_such(std::string_view kind, const std::string& id) {
  return error_response(
      {.status = 404, .message = fmt::format("no such {}: {}", kind, printable(id, 100))});
}

}  // namespace ll
