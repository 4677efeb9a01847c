// /v1/files
#include <fmt/core.h>

#include "base/check.h"
#include "base/input_file.h"
#include "base/json_tree.h"
#include "runtime/server/batches/batch_handlers.h"
#include "runtime/server/batches/batch_service.h"
#include "runtime/server/batches/file_upload.h"
#include "runtime/server/batches/object_list.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/url_text.h"

namespace ll {

HttpUpload upload_file(Service& s, const HttpRequest& head) {
  std::shared_ptr<FileUpload> upload;
  try {
    upload = std::make_shared<FileUpload>(s.batches->store, head.header("content-type"));
  } catch (const Error& e) {
    auto refuse = [why = std::string(e.what())](const HttpExchange& exchange) {
      exchange.respond(error_response(bad_request(why)));
    };
    return {.take = [](std::string_view) {}, .finish = refuse};
  }
  return {.take = [upload](std::string_view bytes) { upload->take(bytes); },
          .finish =
              [&s, upload](const HttpExchange& exchange) {
                respond_by(s.batches->disk, exchange,
                           [upload] { return HttpResponse{.body = json_of(upload->finish())}; });
              }};
}

void handle_files(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  constexpr size_t kMost = 10'000;
  respond_by(s.batches->disk, exchange,
             [&store = s.batches->store, wish = page_wish(q, kMost, kMost)] {
               return HttpResponse{.body = page_json(store.files(), wish)};
             });
}

void handle_file(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  respond_by(s.batches->disk, exchange, [&store = s.batches->store, id = path_part(q.path, 2)] {
    auto file = store.file(id);
    return file ? HttpResponse{.body = json_of(*file)} : no_such("file", id);
  });
}

void handle_file_content(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  work_on(s.batches->disk, exchange,
          [&store = s.batches->store, id = path_part(q.path, 2), exchange] {
            auto file = store.file(id) ? std::make_shared<InputFile>(store.path_of(id)) : nullptr;
            return [id, file, exchange] {
              if (!file) return exchange.respond(no_such("file", id));
              exchange.respond_file(file, "application/octet-stream");
            };
          });
}

void handle_delete_file(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  respond_by(s.batches->disk, exchange, [&store = s.batches->store, id = path_part(q.path, 2)] {
    if (!store.file(id)) return no_such("file", id);
    check(!store.is_in_use(id), "file_id: {} is the input of a batch that has not ended", id);
    store.remove_file(id);
    return HttpResponse{
        .body = fmt::format(R"({{"id":{},"object":"file","deleted":true}})", json_string(id))};
  });
}

}  // namespace ll
