#include "launcher/render_command.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "base/check_call.h"
#include "base/input_file.h"
#include "base/json_fields.h"
#include "base/json_tree.h"
#include "base/read_any.h"
#include "launcher/options.h"
#include "model/files/weight_store.h"
#include "model/text/chat_template.h"

namespace ll {
namespace {

struct RenderArguments {
  std::string model, file;
};

std::string tokenizer_config(const std::filesystem::path& model, std::string& jinja) {
  if (model.empty()) return "";
  if (model.extension() == ".json") return InputFile(model).read_all(kMaxTextBytes);
  if (!std::filesystem::is_directory(model)) {
    ModelTexts texts = load_model_texts(model);
    jinja = texts.chat_template;
    return texts.tokenizer_config_json;
  }
  // Not all of the folder: templates can be tried where nothing else of a model is.
  auto text_of = [&](const char* name) {
    std::filesystem::path file = model / name;
    return std::filesystem::exists(file) ? InputFile(file).read_all(kMaxTextBytes) : "";
  };
  jinja = text_of("chat_template.jinja");
  return text_of("tokenizer_config.json");
}

ChatTemplate load_template(const RenderArguments& a) {
  if (a.model.empty() && a.file.empty())
    fail_usage("--model or --template is missing; --help tells how to use it");
  std::string jinja;
  std::string config = tokenizer_config(a.model, jinja);
  if (!a.file.empty()) {
    jinja = read_any(a.file, kMaxTextBytes);
    // A file without a character is a template as well.
    if (jinja.empty()) return ChatTemplate::from_text("", a.file);
  }
  check(!config.empty() || !jinja.empty(), "{}: this model has no chat template", a.model);
  return ChatTemplate::from_config(config.empty() ? "{}" : config, "tokenizer_config.json", jinja);
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// A chat request, or a line of a batch file with one.
std::string render_line(const ChatTemplate& chat, std::string_view line) try {
  JsonTree request = JsonTree::parse(line, "JSON");
  const JsonTree* inner = request.find("body");
  JsonFields body(inner != nullptr ? *inner : request, "");
  return json_text(chat.render(read_chat_request(body)));
} catch (const Error& e) {
  return "{\"error\": " + json_text(e.what()) + "}";
}

}  // namespace

int render_command(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Reads bodies of chat requests, one a line, from standard input and writes what the chat "
      "template makes of each to standard output: a JSON string, or {\"error\": ...}. A body has "
      "messages, tools, add_generation_prompt, continue_final_message and chat_template_kwargs, "
      "which may set any variable of the template, bos_token, too.",
      "litelang render");
  RenderArguments a;
  app.add_option("-m,--model,--model_path", a.model,
                 "weight file (.h5), Hugging Face folder, or tokenizer_config.json")
      ->type_name("");
  app.add_option("--template", a.file, "a Jinja template, in place of the model's own")
      ->type_name("");
  if (!parse_options(app, arguments)) return static_cast<int>(ExitCode::kDone);
  ChatTemplate chat = load_template(a);
  for (std::string line; std::getline(std::cin, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::string out = render_line(chat, line) + "\n";
    bool more = std::cin.rdbuf()->in_avail() > 0;
    std::cout << out;
    if (!more) std::cout.flush();
    check_call(std::cout.good(), "standard output: cannot write");
  }
  std::cout.flush();
  check_call(std::cout.good(), "standard output: cannot write");
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
