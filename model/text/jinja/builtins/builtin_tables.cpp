#include "model/text/jinja/builtins/builtin_tables.h"

namespace ll::jinja {

namespace {

const Builtin* find(std::initializer_list<std::span<const Builtin>> tables, std::string_view name) {
  for (std::span<const Builtin> table : tables)
    for (const Builtin& row : table)
      if (row.name == name) return &row;
  return nullptr;
}

const Builtin* find_function(std::string_view name) { return find({functions()}, name); }

const Builtin* find_loop_method(std::string_view name) { return find({loop_methods()}, name); }

}  // namespace

const Builtins& all_builtins() {
  static constexpr Builtins kAll = {.filter = find_filter,
                                    .test = find_test,
                                    .function = find_function,
                                    .loop_method = find_loop_method,
                                    .methods = methods_of};
  return kAll;
}

const Builtin* find_filter(std::string_view name) {
  return find({sequence_filters(), selecting_filters(), text_filters()}, name);
}

const Builtin* find_test(std::string_view name) { return find({tests()}, name); }

MethodsOfName methods_of(std::string_view name) {
  const Builtin* of_list = find({list_methods()}, name);
  bool of_tuple = name == "index" || name == "count";
  return {.of_text = find({text_methods(), text_search_methods()}, name),
          .of_list = of_list,
          .of_tuple = of_tuple ? of_list : nullptr,
          .of_dict = find({dict_methods()}, name)};
}

}  // namespace ll::jinja
