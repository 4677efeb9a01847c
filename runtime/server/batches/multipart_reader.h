#pragma once
// A body of multipart/form-data as it comes [RFC 7578, RFC 2046], whatever its size.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ll {

struct FormPart {
  std::string name;
  std::optional<std::string> filename;  // of a file
};

class MultipartReader {
 public:
  struct Handlers {
    std::function<void(const FormPart&)> begin;
    // What comes of the part that began last.
    std::function<void(std::string_view)> take;
  };

  // The boundary of a header Content-Type; throws Error where there is none.
  static std::string boundary_of(std::string_view content_type);
  MultipartReader(std::string_view boundary, Handlers handlers);

  // Throws Error for what is no such body, and what the handlers throw.
  void push(std::string_view bytes);
  // Throws Error unless the last boundary has come.
  void finish() const;

 private:
  enum class State { kPreamble, kPart, kBoundary, kHead, kEnd };

  bool advance();
  bool pass_text();
  bool pass_boundary();
  bool pass_head();

  std::string delimiter_;
  Handlers handlers_;
  State state_ = State::kPreamble;
  std::string pending_;
};

}  // namespace ll
