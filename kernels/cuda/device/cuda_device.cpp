#include "kernels/cuda/device/cuda_device.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/visible_gpus.h"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {
namespace {

cudaStream_t of(Stream s) { return cuda_stream(s); }
cudaEvent_t of(Event e) { return static_cast<cudaEvent_t>(e.handle); }

MemoryInfo memory_info() {
  MemoryInfo info;
  check(cudaMemGetInfo(&info.free_bytes, &info.total_bytes));
  return info;
}

void* alloc(size_t bytes) {
  void* p = nullptr;
  cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: the next call may succeed
    MemoryInfo info = memory_info();
    fail(
        "out of GPU memory: {} MiB asked for, {} of {} MiB free; lower "
        "kv_cache.gpu_memory_utilization or use more ranks",
        bytes >> 20, info.free_bytes >> 20, info.total_bytes >> 20);
  }
  check(error);
  return p;
}

// Teardown must not throw; an error here was reported by an earlier call.
void release(void* p) { cudaFree(p); }

void* alloc_host(size_t bytes) {
  void* p = nullptr;
  check(cudaMallocHost(&p, bytes));
  return p;
}
void free_host(void* p) { cudaFreeHost(p); }

void copy(Stream stream, void* dst, const void* src, size_t bytes) {
  check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, of(stream)));
}
void fill(Stream stream, void* dst, int byte, size_t bytes) {
  check(cudaMemsetAsync(dst, byte, bytes, of(stream)));
}

Stream create_side_stream() {
  auto state = std::make_unique<StreamState>();
  check(cudaStreamCreateWithFlags(&state->stream, cudaStreamNonBlocking));
  return {state.release()};
}
Stream create_stream() {
  Stream stream = create_side_stream();
  static_cast<StreamState*>(stream.handle)->workspace = std::make_unique<Workspace>();
  return stream;
}
void destroy_stream(Stream stream) {
  std::unique_ptr<StreamState> state(static_cast<StreamState*>(stream.handle));
  if (state) cudaStreamDestroy(state->stream);
}
void synchronize(Stream stream) { check(cudaStreamSynchronize(of(stream))); }

// Blocking-sync events: a waiting host thread sleeps.
Event create_event() {
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventBlockingSync));
  return {event};
}
void destroy_event(Event event) { cudaEventDestroy(of(event)); }
void record(Event event, Stream stream) { check(cudaEventRecord(of(event), of(stream))); }
bool is_done(Event event) {
  cudaError_t state = cudaEventQuery(of(event));
  if (state == cudaErrorNotReady) return false;
  check(state);
  return true;
}
void wait_host(Event event) { check(cudaEventSynchronize(of(event))); }
void wait_stream(Stream stream, Event event) { check(cudaStreamWaitEvent(of(stream), of(event))); }
float elapsed_ms(Event from, Event to) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, of(from), of(to)));
  return ms;
}

void begin_capture(Stream stream) {
  check(cudaStreamBeginCapture(of(stream), cudaStreamCaptureModeThreadLocal));
}
Graph end_capture(Stream stream) {
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  check(cudaStreamEndCapture(of(stream), &graph));
  check(cudaGraphInstantiate(&executable, graph, 0));
  check(cudaGraphDestroy(graph));
  return {executable};
}
void launch(Graph graph, Stream stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.handle), of(stream)));
}
void destroy(Graph graph) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph.handle)); }

// What the GPU of the process is.
struct Gpu {
  KernelFamily family = KernelFamily::kAny;
  int number = 0, num_sms = 0, major = 0, shared_bytes = 0, round = 0;
};
Gpu g_gpu;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

const DeviceApi& cuda_device() {
  static const DeviceApi api{.alloc = alloc,
                             .free = release,
                             .alloc_host = alloc_host,
                             .free_host = free_host,
                             .copy = copy,
                             .upload = upload,
                             .fill = fill,
                             .create_stream = create_stream,
                             .create_side_stream = create_side_stream,
                             .destroy_stream = destroy_stream,
                             .synchronize = synchronize,
                             .create_event = create_event,
                             .destroy_event = destroy_event,
                             .record = record,
                             .is_done = is_done,
                             .wait_host = wait_host,
                             .wait_stream = wait_stream,
                             .elapsed_ms = elapsed_ms,
                             .memory_info = memory_info};
  return api;
}

const GraphApi& cuda_graphs() {
  static const GraphApi api{begin_capture, end_capture, launch, destroy};
  return api;
}

int num_sms() { return g_gpu.num_sms; }
int most_shared_bytes() { return g_gpu.shared_bytes; }
int gpu_round() { return g_gpu.round; }
int compute_major() { return g_gpu.major; }
bool starts_early() {
  constexpr int kHopper = 9;
  return g_gpu.major > kHopper || g_gpu.family == KernelFamily::kSm90;
}
KernelFamily kernel_family() { return g_gpu.family; }
bool serves(KernelFamily family) { return family == KernelFamily::kAny || family == g_gpu.family; }

bool may_share_gpus() { return environment("LITELANG_SHARE_GPUS") == "1"; }

void open_device(int local_rank) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    fail(
        "backend: cuda, but no GPU is usable here ({}); check nvidia-smi and the driver, or use "
        "backend: cpu",
        cudaGetErrorString(error));
  int number = gpu_of(local_rank, count);
  GpuFacts gpu = gpu_facts(number);
  g_gpu = {.family = choose_family(environment("LITELANG_CUDA_FAMILY"), title(gpu), gpu.capability),
           .number = number,
           .num_sms = gpu.num_sms,
           .major = gpu.capability.major,
           .shared_bytes = static_cast<int>(gpu.shared_bytes),
           .round = may_share_gpus() ? local_rank / count : 0};
  enter_device();
}

void enter_device() { check(cudaSetDevice(g_gpu.number)); }

}  // namespace ll::cuda
