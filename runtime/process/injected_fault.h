#pragma once
#include <cstdint>
#include <string_view>

namespace ll {

// Faults that tests ask for: LITELANG_FAULT=KIND:RANK:STEP in the environment. True once: on this
// rank, for the first step of that number or a later one. Kinds: `plan` (a word of it is changed),
// `tokens` (one is taken for another), `device` (an error of it), `hang` (of the thread that runs
// steps), `load` (it hangs while loading, before step 0), `communicator` (it hangs where the first
// of its communicators is tried).
bool is_fault_due(std::string_view kind, int32_t step);

}  // namespace ll
