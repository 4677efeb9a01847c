#pragma once
// A page of OpenAI's lists of objects.
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/json_tree.h"
#include "runtime/server/http_message.h"

namespace ll {

struct PageWish {
  size_t limit = 20;
  std::string after;  // the id of the last object of the page before; empty: there was none
};

// What a query asks for ("limit=2&after=file-1"); throws Error for a limit that is none.
PageWish page_wish(const HttpRequest& request, size_t usual_limit, size_t highest_limit);

// 404, of an object of that kind.
HttpResponse no_such(std::string_view kind, const std::string& id);

// {"object": "list", "data": [...], "first_id", "last_id", "has_more"}
template <class T>
std::string page_json(const std::vector<T>& all, const PageWish& wish) {
  std::string data, first = "null", last = "null";
  size_t count = 0, at = 0;
  if (!wish.after.empty())
    while (at < all.size() && all[at++].id != wish.after) {
    }
  for (; at < all.size() && count < wish.limit; ++at, ++count) {
    data.append(count > 0 ? "," : "").append(json_of(all[at]));
    last = json_string(all[at].id);
    if (count == 0) first = last;
  }
  return fmt::format(R"({{"object":"list","data":[{}],"first_id":{},"last_id":{},"has_more":{}}})",
                     data, first, last, at < all.size());
}

}  // namespace ll
