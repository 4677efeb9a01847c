#pragma once
// Messages between the members of a group that come when they come: nobody waits for anybody. All
// calls are the main thread's.
#include <deque>
#include <memory>
#include <optional>
#include <string>

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
  void post(int to, std::string text);
  // A message that has arrived.
  std::optional<Message> poll();

 private:
  struct Posted;
  void forget_delivered();

  MpiGroup group_;
  std::deque<std::unique_ptr<Posted>> posted_;
};

}  // namespace ll
