#pragma once
#include <string_view>

namespace ll {

// page.html, in which NONCE stands for the word that lets its script run.
extern const std::string_view kPage;

}  // namespace ll
