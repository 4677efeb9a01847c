#pragma once
// Messages of a chat to the text of a prompt (ChatML), as the Jinja templates of Qwen2 and Qwen2.5
// render them, without Jinja: a template is known by its text or refused.
#include <span>
#include <string>
#include <string_view>

namespace ll {

struct ChatMessage {
  std::string role;        // "system", "user", "assistant", "tool"
  std::string content;     // null counts as ""
  std::string tool_calls;  // JSON list; "" and "null" for none. "arguments" is an object: OpenAI's
                           // clients send it as a string of JSON, which the caller parses first
};

class ChatTemplate {
 public:
  // From a tokenizer_config.json, or from the template alone. Throws Error when there is no
  // template or an unknown one. `where` names the text in errors.
  static ChatTemplate from_config(std::string_view tokenizer_config_json, std::string_view where);
  static ChatTemplate from_text(std::string_view jinja, std::string_view where);

  // `tools_json`: JSON list of tools; "", "null" or "[]" for none. Throws Error where the template
  // itself would fail, and on JSON that is not of its form. Like the templates, drops messages of
  // roles they do not know.
  std::string render(std::span<const ChatMessage> messages, bool add_generation_prompt,
                     std::string_view tools_json = {}) const;

  // Whether tools and messages of the role "tool" have a place in the text; others ignore tools.
  bool has_tools() const { return family_ == Family::kQwen25; }
  // Stands where the messages do not begin with one of the system. May be empty.
  const std::string& default_system() const { return default_system_; }

 private:
  enum class Family { kPlain, kQwen2, kQwen25 };
  ChatTemplate(Family family, std::string default_system)
      : family_(family), default_system_(std::move(default_system)) {}

  std::string render_plain(std::span<const ChatMessage> messages) const;
  std::string render_qwen25(std::span<const ChatMessage> messages,
                            std::string_view tools_json) const;

  Family family_;
  std::string default_system_;
};

}  // namespace ll
