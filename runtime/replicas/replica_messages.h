#pragma once
// What the first ranks of replicas tell each other: a kind, and values of it in a flat buffer. All
// run the same program on machines of one kind, so values travel as they lie in memory.
#include <string>
#include <string_view>
#include <vector>

#include "runtime/schedule/scheduler.h"

namespace ll {

enum class ReplicaMessage : char {
  // To a replica.
  kWork,    // Request
  kEnd,     // SequenceId
  kCancel,  // int64_t: a request
  kRecall,  // int64_t: how many requests to give back
  kAlive,   // a sign of life of rank 0
  kQuit,    // there is no more
  // From a replica.
  kHello,     // text: who it is, in words
  kStep,      // ReplicaStep; without events it is a sign of life
  kReturned,  // int64_t, as many as there are: requests
  kBye,       // the last
};

// What a step of a replica brought, and how it stands since.
struct ReplicaStep {
  SchedulerStats stats;
  GroupTimes times;
  StepEvents events;
};

ReplicaMessage kind_of(std::string_view message);

std::string encode(ReplicaMessage kind);
std::string encode(ReplicaMessage kind, int64_t value);
std::string encode(ReplicaMessage kind, const std::vector<int64_t>& values);
std::string encode(ReplicaMessage kind, std::string_view text);
std::string encode(const Request& request);
std::string encode(SequenceId sequence);
std::string encode(const ReplicaStep& step);

// These throw Error where a message is not what its kind says.
int64_t decode_value(std::string_view message);
std::vector<int64_t> decode_values(std::string_view message);
std::string decode_text(std::string_view message);
Request decode_request(std::string_view message);
SequenceId decode_sequence(std::string_view message);
ReplicaStep decode_step(std::string_view message);

}  // namespace ll
