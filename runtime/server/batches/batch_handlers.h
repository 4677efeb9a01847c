#pragma once
// What the paths /v1/files and /v1/batches do, where the server has a folder for them.
#include "runtime/server/service.h"

namespace ll {

// The body of a request that brings a file.
HttpUpload upload_file(Service&, const HttpRequest& head);

void handle_files(Service&, const HttpRequest&, const HttpExchange&);
void handle_file(Service&, const HttpRequest&, const HttpExchange&);
void handle_file_content(Service&, const HttpRequest&, const HttpExchange&);
void handle_delete_file(Service&, const HttpRequest&, const HttpExchange&);

void handle_create_batch(Service&, const HttpRequest&, const HttpExchange&);
void handle_batches(Service&, const HttpRequest&, const HttpExchange&);
void handle_batch(Service&, const HttpRequest&, const HttpExchange&);
void handle_cancel_batch(Service&, const HttpRequest&, const HttpExchange&);

}  // namespace ll
