#pragma once
// What filters and methods of texts share.
#include "model/text/jinja/evaluator/builtin.h"

namespace ll::jinja {

// str.replace; all places where `limit` is below 0.
std::string replace_all(Evaluator& evaluator, std::string_view text, std::string_view from,
                        std::string_view to, int64_t limit);
// The text with as many fill characters around it as make `width` characters.
enum class Justify : uint8_t { kLeft, kRight, kCenter };
std::string justify(Evaluator& evaluator, std::string_view text, int64_t width,
                    std::string_view fill, Justify side);
// str.strip(characters) at the chosen ends; of white space where `characters` is missing or none.
Value stripped(const Value& text, const Value& characters, bool left, bool right);

}  // namespace ll::jinja
