#pragma once
// What a chat request says of its prompt.
#include <string>

#include "base/json_fields.h"
#include "base/json_tree.h"

namespace ll {

struct ChatRequest {
  JsonTree messages;                    // a list of objects, prepared: see prepare_messages
  const JsonTree* tools = nullptr;      // a list; also when it is empty. Outlived by the body.
  const JsonTree* documents = nullptr;  // a list
  const JsonTree* variables = nullptr;  // an object: chat_template_kwargs
  bool add_generation_prompt = true;
  std::string continued;  // the field of the last message that the answer goes on with, or empty
};

// Reads messages, tools, documents, add_generation_prompt, continue_final_message and
// chat_template_kwargs. Throws Error that names the field.
ChatRequest read_chat_request(const JsonFields& body);

// Messages as servers hand them to a template: parts of text are joined, a content that is null or
// missing is "", one that is an object stays, other fields that are null are left out, a call's
// arguments that came as a string of JSON are what it says ("" and null: no arguments), and the
// names of reasoning stand for each other.
JsonTree prepare_messages(const JsonTree& messages);

}  // namespace ll
