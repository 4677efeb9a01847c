#pragma once
// What /v1/files and /v1/batches work with.
#include <utility>

#include "runtime/server/batches/batch_runner.h"
#include "runtime/server/batches/batch_store.h"
#include "runtime/server/worker.h"

namespace ll {

struct BatchService {
  BatchService(Service& service, BatchStore& batch_store, ModelIdentity model)
      : store(batch_store), disk(service.http), runner(service, store, std::move(model)) {}

  BatchStore& store;
  Worker disk;  // for what waits for the store
  BatchRunner runner;
};

}  // namespace ll
