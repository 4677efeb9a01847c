#pragma once
#include <fmt/core.h>

#include <string_view>

#include "base/check.h"
#include "base/exception_text.h"
#include "base/output_file.h"

namespace ll {

// An Error that happened in the midst of a job's work; its message begins with whose and where:
// "rank 3 on node7 (NVIDIA H200), in step 17: ...".
class PlacedError : public Error {
  using Error::Error;
};

// Does `work`; what goes wrong in it is thrown as a PlacedError, whose place is asked for then.
// What says all that there is to say, as it is: a wrong configuration, and a reader that is gone.
auto with_place(const auto& place, const auto& work) {
  try {
    return work();
  } catch (const ReaderGone&) {
    throw;
  } catch (const Error& e) {
    if (e.code() != ExitCode::kError) throw;
    throw PlacedError(fmt::format("{}: {}", place(), e.what()));
  } catch (const std::exception& e) {
    throw PlacedError(fmt::format("{}: {}", place(), exception_text(e)));
  }
}

}  // namespace ll
