#include "parallel/mpi/mpi_mailbox.h"

#include <mpi.h>

#include <exception>
#include <utility>

#include "base/check.h"
#include "parallel/mpi/mpi_handle.h"

namespace ll {
namespace {

constexpr int kMailTag = 1;

// The most bytes of a message in a piece. Open MPI sends 4 kB unasked through shared memory, its
// own header included.
constexpr size_t kLetterBytes = 3584;
// The first byte of a piece.
constexpr char kMore = '+', kLast = '.';

}  // namespace

struct Mailbox::Posted {
  std::string text;
  MPI_Request request;
};

Mailbox::Mailbox(const MpiGroup& group)
    : group_(group.split(0, group.rank())), begun_(static_cast<size_t>(group.size())) {}

Mailbox::~Mailbox() {
  if (std::uncaught_exceptions() > 0) return;
  for (auto& p : posted_) MPI_Wait(&p->request, MPI_STATUS_IGNORE);
}

void Mailbox::post(int to, std::string_view text) {
  do {
    std::string_view part = text.substr(0, kLetterBytes);
    text.remove_prefix(part.size());
    std::string piece(1, text.empty() ? kLast : kMore);
    post_piece(to, piece.append(part));
  } while (!text.empty());
  forget_delivered();
}

void Mailbox::post_piece(int to, std::string piece) {
  auto posted = std::make_unique<Posted>(Posted{std::move(piece), {}});
  mpi_check(MPI_Isend(posted->text.data(), static_cast<int>(posted->text.size()), MPI_BYTE, to,
                      kMailTag, group_.handle().comm, &posted->request));
  posted_.push_back(std::move(posted));
}

std::optional<Mailbox::Message> Mailbox::poll() {
  forget_delivered();
  if (size() == 1) return std::nullopt;
  while (auto piece = receive_piece()) {
    std::string& text = begun_[static_cast<size_t>(piece->from)];
    bool is_last = piece->text.at(0) == kLast;
    text.append(piece->text, 1);
    if (is_last) return Message{piece->from, std::exchange(text, {})};
  }
  return std::nullopt;
}

std::optional<Mailbox::Message> Mailbox::receive_piece() {
  int arrived = 0, bytes = 0;
  MPI_Message handle;
  MPI_Status status;
  mpi_check(
      MPI_Improbe(MPI_ANY_SOURCE, kMailTag, group_.handle().comm, &arrived, &handle, &status));
  if (!arrived) return std::nullopt;
  mpi_check(MPI_Get_count(&status, MPI_BYTE, &bytes));
  Message message{status.MPI_SOURCE, std::string(static_cast<size_t>(bytes), '\0')};
  mpi_check(MPI_Mrecv(message.text.data(), bytes, MPI_BYTE, &handle, MPI_STATUS_IGNORE));
  return message;
}

void Mailbox::forget_delivered() {
  while (!posted_.empty()) {
    int done = 0;
    mpi_check(MPI_Test(&posted_.front()->request, &done, MPI_STATUS_IGNORE));
    if (!done) return;
    posted_.pop_front();
  }
}

}  // namespace ll
