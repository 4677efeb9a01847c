#pragma once
// The body of a request as Beast's parser fills it, for http_connection.cpp alone.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ll {

// A body that is kept, unless somebody takes it as it comes.
struct HttpBody {
  struct Value {
    std::string text;
    std::function<void(std::string_view)> take;
  };

  class Reader {
   public:
    template <bool is_request, class Fields>
    Reader(boost::beast::http::header<is_request, Fields>&, Value& body) : body_(body) {}
    static void init(const boost::optional<uint64_t>&, boost::system::error_code& error) {
      error = {};
    }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      for (auto b = boost::asio::buffer_sequence_begin(buffers);
           b != boost::asio::buffer_sequence_end(buffers); ++b) {
        boost::asio::const_buffer piece = *b;
        std::string_view bytes(static_cast<const char*>(piece.data()), piece.size());
        body_.take ? body_.take(bytes) : void(body_.text.append(bytes));
      }
      return boost::asio::buffer_size(buffers);
    }
    static void finish(boost::system::error_code& error) { error = {}; }

   private:
    Value& body_;
  };

  // Beast's names.
  using value_type = Value;
  using reader = Reader;
};

}  // namespace ll
