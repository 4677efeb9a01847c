#pragma once
// The order in which the lines of a batch file are asked. It changes no answer: what a line is
// answered depends on its number and on what it says.
#include <cstddef>
#include <span>
#include <vector>

#include "base/line_reader.h"
#include "runtime/config/batch_options.h"

namespace ll {

// The lines' places in the order they are to be asked in.
//   kPrefix: those whose prompts begin alike come one after the other, so that what they share is
//     computed once and is done with when the next begin. It is the order of a walk through the
//     radix tree of all prompts, as they stand in the file; the least recently used page is then
//     the one whose next use is farthest. Groups with nothing in common keep the file's order.
//   kLongest: by max_tokens, largest first; those without come before.
std::vector<size_t> asking_order(std::span<const LineReader::Line> lines,
                                 BatchOptions::Order order);

}  // namespace ll
