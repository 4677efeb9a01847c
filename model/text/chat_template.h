#pragma once
// Messages of a chat to the text of a prompt: the Jinja templates of a model, run.
#include <map>
#include <string>
#include <string_view>

#include "base/json_tree.h"
#include "model/text/chat_request.h"
#include "model/text/jinja/template.h"

namespace ll {

// Thread-safe.
class ChatTemplate {
 public:
  // From a tokenizer_config.json, whose special tokens templates see, and whose templates stand
  // unless there is a chat_template.jinja beside it (empty: there is none). Throws Error when there
  // is no template, or one that is not Jinja. `where` names the text in errors.
  static ChatTemplate from_config(std::string_view tokenizer_config_json, std::string_view where,
                                  std::string_view chat_template_jinja = {});
  // A template alone, without special tokens.
  static ChatTemplate from_text(std::string_view jinja, std::string_view where);

  // The prompt. Throws Error where the template fails, be it by raise_exception.
  std::string render(const ChatRequest& request, const jinja::RenderLimits& limits = {}) const;

  // Whether tools have a place in the text; others ignore them.
  bool has_tools() const;
  // Whether a text stands in the source of one of the templates.
  bool mentions(std::string_view text) const;

 private:
  using Templates = std::map<std::string, jinja::Template, std::less<>>;
  explicit ChatTemplate(Templates templates) : templates_(std::move(templates)) {}

  const jinja::Template& choose(const ChatRequest& request) const;

  // By name: "default", "tool_use", "rag".
  Templates templates_;
  JsonTree special_tokens_;  // an object: bos_token, eos_token, ...
};

}  // namespace ll
