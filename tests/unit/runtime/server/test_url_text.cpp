#include "runtime/server/url_text.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("URLs: escapes, parts of a path, fields of a query") {
  CHECK(url_decoded("a%2Fb%20c") == "a/b c");
  CHECK(url_decoded("100%") == "100%");
  CHECK(url_decoded("%2") == "%2");
  CHECK(url_decoded("%zz%41") == "%zzA");
  CHECK(path_part("/v1/files/file-1/content", 0) == "v1");
  CHECK(path_part("/v1/files/file-1/content", 2) == "file-1");
  CHECK(path_part("/v1/files/file-1/content", 3) == "content");
  CHECK(path_part("/v1/files/file-1/content", 4) == "");
  CHECK(path_part("/v1/files/", 2) == "");
  CHECK(path_part("/v1//x", 1) == "");
  CHECK(path_part("", 0) == "");
  CHECK(query_value("limit=2&after=a%26b&empty=&flag", "after") == "a&b");
  CHECK(query_value("limit=2&after=a%26b&empty=&flag", "limit") == "2");
  CHECK(query_value("limit=2&after=a%26b&empty=&flag", "empty") == "");
  CHECK(query_value("limit=2&after=a%26b&empty=&flag", "flag") == "");
  CHECK(query_value("limit=2", "lim") == "");
}
