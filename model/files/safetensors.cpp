#include "model/files/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/printable.h"

namespace ll {

static_assert(std::endian::native == std::endian::little, "both file formats are little-endian");

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr uint64_t kMaxIndexBytes = 64 << 20;
constexpr int kMaxIndexDepth = 8;

std::optional<DType> dtype_of_name(std::string_view name) {
  if (name == "BF16") return DType::bf16;
  if (name == "F16") return DType::f16;
  if (name == "F32") return DType::f32;
  if (name == "I32") return DType::i32;
  if (name == "I64") return DType::i64;
  if (name == "U8") return DType::u8;
  return std::nullopt;
}

// Element types of the format that weights do not have; masks and quantised weights do.
struct ForeignType {
  std::string_view name;
  uint64_t bytes;
};
constexpr ForeignType kForeignTypes[] = {
    {"BOOL", 1}, {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2},
    {"U16", 2},  {"U32", 4}, {"U64", 8},     {"F64", 8},
};

// What the header says of one tensor: complete at the object's end, but not believed.
struct Claim {
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

// Walks {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ..., "__metadata__":
// {...}}. A handler of events, not a tree: it sees names that come twice, and memory stays
// proportional to the tensors however deep a hostile header nests.
class HeaderHandler : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderHandler(std::string_view where) : where_(where) {}
  std::map<std::string, Claim> claims;

  bool start_object(size_t) override {
    bool tensor = depth_ == 1 && !in_array_;
    if (depth_ > 0 && !tensor) refuse("is an object where none may be");
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && tensor_ != kMetadata) {
      const Claim& claim = claims[tensor_];
      check(claim.dtype && claim.shape && claim.offsets,
            "{}: tensor {}: lacks dtype, shape or data_offsets in the header", where_,
            printable(tensor_));
    }
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    (depth_ == 1 ? tensor_ : key_) = name;
    if (depth_ == 1 && name != kMetadata && !claims.try_emplace(name).second) refuse("comes twice");
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || in_array_ || tensor_ == kMetadata) refuse("is a list where none may be");
    Claim& claim = claims[tensor_];
    if (key_ != "shape" && key_ != "data_offsets") refuse("is a list where none may be");
    auto& list = key_ == "shape" ? claim.shape : claim.offsets;
    if (list) refuse("comes twice");
    list_ = &list.emplace();
    return in_array_ = true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) refuse("is a number where none may be");
    if (list_->size() == kMaxList) refuse("has more than eight numbers");
    list_->push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ != 2 || in_array_) refuse("is a string where none may be");
    if (tensor_ == kMetadata) return true;
    if (key_ != "dtype") refuse("is not part of the format");
    Claim& claim = claims[tensor_];
    if (claim.dtype) refuse("comes twice");
    claim.dtype = value;
    return true;
  }
  bool number_integer(number_integer_t) override { refuse("is negative"); }
  bool number_float(number_float_t, const string_t&) override { refuse("is not an integer"); }
  bool boolean(bool) override { refuse("is true or false where neither may be"); }
  bool null() override { refuse("is null"); }
  bool binary(binary_t&) override { refuse("is binary"); }
  bool parse_error(size_t, const std::string&, const Json::exception& e) override {
    fail("{}: the header is not valid JSON: {}", where_, printable(e.what()));
  }

 private:
  static constexpr std::string_view kMetadata = "__metadata__";
  static constexpr size_t kMaxList = 8;

  [[noreturn]] void refuse(const char* why) const {
    fail("{}: the header is not safetensors: {}{} {}", where_,
         tensor_.empty() ? "it" : "tensor " + printable(tensor_),
         depth_ == 2 ? ", " + printable(key_) : "", why);
  }

  std::string_view where_;
  int depth_ = 0;
  bool in_array_ = false;
  std::string tensor_, key_;
  std::vector<uint64_t>* list_ = nullptr;
};

// The element count, or nothing when the product overflows.
std::optional<uint64_t> product(const std::vector<uint64_t>& dims) {
  uint64_t n = 1;
  for (uint64_t dim : dims)
    if (dim > INT64_MAX || __builtin_mul_overflow(n, dim, &n)) return std::nullopt;
  return n;
}

SafetensorsEntry check_claim(const std::string& name, const Claim& claim, uint64_t data_begin,
                             uint64_t file_size, std::string_view where) {
  auto refuse = [&](const std::string& why) {
    fail("{}: tensor {}: {}", where, printable(name), why);
  };
  std::optional<DType> dtype = dtype_of_name(*claim.dtype);
  const ForeignType* foreign =
      std::find_if(std::begin(kForeignTypes), std::end(kForeignTypes),
                   [&](const ForeignType& type) { return type.name == *claim.dtype; });
  if (!dtype && foreign == std::end(kForeignTypes))
    refuse(fmt::format("has dtype {}, which is unknown", printable(*claim.dtype, 16)));
  if (claim.shape->size() > Shape::kMaxRank) refuse("has more than four axes");
  std::vector<int64_t> dims(claim.shape->begin(), claim.shape->end());
  std::optional<uint64_t> numel = product(*claim.shape);
  uint64_t bytes = 0;
  if (!numel || __builtin_mul_overflow(*numel, dtype ? size_of(*dtype) : foreign->bytes, &bytes))
    refuse("has a shape whose size overflows");
  const std::vector<uint64_t>& at = *claim.offsets;
  if (at.size() != 2 || at[0] > at[1] || at[1] > file_size - data_begin)
    refuse("has data_offsets outside the file: is it truncated? Download it again");
  if (at[1] - at[0] != bytes)
    refuse(fmt::format("has {} bytes of data, its shape asks for {}", at[1] - at[0], bytes));
  if (!dtype)
    return {DType::u8, Shape({static_cast<int64_t>(bytes)}), data_begin + at[0], *claim.dtype};
  return {*dtype, Shape(std::span<const int64_t>(dims)), data_begin + at[0]};
}

// The format allows no byte that belongs to two tensors or to none.
void check_tiling(const SafetensorsTable& table, uint64_t data_begin, uint64_t file_size,
                  std::string_view where) {
  struct Extent {
    uint64_t begin, end;
    const std::string* name;
  };
  std::vector<Extent> extents;
  for (const auto& [name, entry] : table) {
    uint64_t bytes = static_cast<uint64_t>(entry.shape.numel()) * size_of(entry.dtype);
    extents.push_back({entry.offset, entry.offset + bytes, &name});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t end = data_begin;
  for (const Extent& extent : extents) {
    check(extent.begin == end, "{}: tensor {}: its bytes {} the tensor before it", where,
          printable(*extent.name), extent.begin < end ? "overlap" : "leave a gap after");
    end = extent.end;
  }
  check(end == file_size, "{}: {} bytes follow the last tensor", where, file_size - end);
}

}  // namespace

SafetensorsTable parse_safetensors_header(std::string_view header, uint64_t file_size,
                                          std::string_view where) {
  uint64_t data_begin = 8 + header.size();
  check(file_size >= data_begin, "{}: truncated: {} bytes, the header alone is {}", where,
        file_size, data_begin);
  check(header.starts_with('{'), "{}: is not a safetensors file", where);
  HeaderHandler handler(where);
  Json::sax_parse(header, &handler);
  SafetensorsTable table;
  for (const auto& [name, claim] : handler.claims)
    table.emplace(name, check_claim(name, claim, data_begin, file_size, where));
  check_tiling(table, data_begin, file_size, where);
  return table;
}

SafetensorsFile open_safetensors(const std::string& path) {
  auto file = std::make_shared<const InputFile>(path);
  check(file->size() >= 8, "{}: is not a safetensors file: {} bytes", path, file->size());
  uint64_t length = 0;
  file->read(0, std::as_writable_bytes(std::span(&length, 1)));
  check(length <= kMaxHeaderBytes, "{}: is not a safetensors file: a header of {} bytes", path,
        length);
  check(length <= file->size() - 8, "{}: truncated: {} bytes, the header alone is {}", path,
        file->size(), length);
  std::string header(length, '\0');
  file->read(8, std::as_writable_bytes(std::span(header)));
  SafetensorsTable tensors = parse_safetensors_header(header, file->size(), path);
  return {std::move(file), std::move(tensors)};
}

SafetensorsIndex parse_safetensors_index(std::string_view text, std::string_view where) {
  auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    check(depth <= kMaxIndexDepth, "{}: nested deeper than {} levels", where, kMaxIndexDepth);
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, shallow);
  } catch (const Json::exception& e) {
    fail("{}: is not valid JSON: {}", where, printable(e.what()));
  }
  auto map = json.find("weight_map");
  check(json.is_object() && map != json.end() && map->is_object(), "{}: has no weight_map", where);
  SafetensorsIndex index;
  for (const auto& [tensor, file] : map->items()) {
    check(file.is_string(), "{}: tensor {}: its file is not a string", where, printable(tensor));
    auto name = file.get<std::string>();
    bool plain = !name.empty() && name != "." && name != ".." &&
                 name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    check(plain, "{}: tensor {}: {} is not the name of a file beside the index", where,
          printable(tensor), printable(name));
    index.emplace(tensor, std::move(name));
  }
  check(!index.empty(), "{}: lists no tensor", where);
  return index;
}

namespace {

// What a folder without model.safetensors and its index has in the place of them.
std::string found_instead(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "adapter_config.json"))
    return "it holds an adapter, which is a part of a model: merge it into its base model";
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename());
  for (const std::string& name : names) {
    if (name.ends_with(".safetensors") || name.ends_with(".incomplete"))
      return fmt::format("there is {} alone: download the rest of the model", printable(name));
    if (name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth"))
      return fmt::format("{} is PyTorch's: save the model again as safetensors", printable(name));
    if (name.ends_with(".gguf"))
      return fmt::format("{} is of another program: get the model's safetensors", printable(name));
  }
  return "other weight formats are not supported";
}

}  // namespace

std::vector<SafetensorsFile> open_safetensors_folder(const std::string& folder) {
  std::filesystem::path root(folder);
  std::filesystem::path single = root / "model.safetensors";
  std::filesystem::path index_path = root / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) return {open_safetensors(single)};
  check(std::filesystem::exists(index_path),
        "{}: has neither model.safetensors nor model.safetensors.index.json; {}", folder,
        std::filesystem::exists(index_path) ? "" : found_instead(root));
  std::string where = index_path.string();
  SafetensorsIndex index =
      parse_safetensors_index(InputFile(where).read_all(kMaxIndexBytes), where);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index) names.insert(file);
  std::vector<SafetensorsFile> files;
  for (const std::string& name : names) {
    files.push_back(open_safetensors(root / name));
    for (const auto& [tensor, entry] : files.back().tensors) {
      // One the index does not list is in one file: nobody else asks for it.
      const std::string& listed = index.try_emplace(tensor, name).first->second;
      check(listed == name, "{}: holds tensor {}, which {} puts into {}", files.back().file->path(),
            printable(tensor), where, printable(listed));
    }
  }
  return files;
}

}  // namespace ll
