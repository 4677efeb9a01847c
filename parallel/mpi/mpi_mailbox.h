#pragma once
// Messages between the members of a group that come when they come: nobody waits for anybody. All
// calls are the main thread's.
//
// They travel in pieces that MPI sends unasked. Of longer ones it sends a notice first, and who
// receives one then waits, inside MPI, until the sender calls MPI again: for the sender's whole
// step.
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parallel/mpi/mpi_group.h"

namespace ll {

class Mailbox {
 public:
  // Collective: the messages keep to themselves.
  explicit Mailbox(const MpiGroup& group);
  // Waits until what was posted has been received, unless the program is ending by an exception.
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  int rank() const { return group_.rank(); }
  int size() const { return group_.size(); }

  struct Message {
    int from = 0;
    std::string text;
  };
  // Sends it on its way. Messages from one member to another arrive in order.
  void post(int to, std::string_view text);
  // A message that has arrived.
  std::optional<Message> poll();

 private:
  struct Posted;
  void post_piece(int to, std::string piece);
  std::optional<Message> receive_piece();
  void forget_delivered();

  MpiGroup group_;
  std::deque<std::unique_ptr<Posted>> posted_;
  std::vector<std::string> begun_;  // of each member: what has come of a message so far
};

}  // namespace ll
