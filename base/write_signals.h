#pragma once

namespace ll {

// From here on a write to a file past its size limit or to a pipe without a reader fails with a
// reason instead of ending the process. For mains, before they write anything.
void ignore_write_signals();

}  // namespace ll
