#include "kernels/cuda/device/cuda_device.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "kernels/cuda/device/cuda_check.h"

namespace ll::cuda {
namespace {

cudaStream_t of(Stream s) { return static_cast<cudaStream_t>(s.handle); }
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

Stream create_stream() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return {stream};
}
void destroy_stream(Stream stream) { cudaStreamDestroy(of(stream)); }
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

Scratch g_scratch{}, g_counters{}, g_matmul_workspace{}, g_attention_plan{};
int g_num_sms = 0, g_gpu_round = 0;

bool shares_gpus() {
  const char* value = std::getenv("LITELANG_SHARE_GPUS");
  return value && std::string_view(value) == "1";
}

}  // namespace

const DeviceApi& cuda_device() {
  static const DeviceApi api{
      alloc,  release,       alloc_host,     free_host,   copy,         upload,
      fill,   create_stream, destroy_stream, synchronize, create_event, destroy_event,
      record, is_done,       wait_host,      wait_stream, elapsed_ms,   memory_info};
  return api;
}

const GraphApi& cuda_graphs() {
  static const GraphApi api{begin_capture, end_capture, launch, destroy};
  return api;
}

int num_sms() { return g_num_sms; }
int gpu_round() { return g_gpu_round; }
Scratch scratch() { return g_scratch; }
Scratch zeroed_counters() { return g_counters; }
Scratch matmul_workspace() { return g_matmul_workspace; }
Scratch attention_plan() { return g_attention_plan; }

void open_device(int local_rank) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    fail(
        "backend: cuda, but no GPU is usable here ({}); check nvidia-smi and the driver, or use "
        "backend: cpu",
        cudaGetErrorString(error));
  if (local_rank >= count && !shares_gpus())
    fail_usage("{} ranks on this host, but it has {} GPU{}; start at most one rank for each",
               local_rank + 1, count, count == 1 ? "" : "s");
  int gpu = local_rank % count;
  g_gpu_round = local_rank / count;
  check(cudaSetDevice(gpu));
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, gpu));
  if (properties.major != 9)
    fail("{}: compute capability {}.{}, but the kernels are built for 9.0 (Hopper)",
         properties.name, properties.major, properties.minor);
  g_num_sms = properties.multiProcessorCount;
  g_scratch = {alloc(kScratchBytes), kScratchBytes};
  g_counters = {alloc(kCounterBytes), kCounterBytes};
  g_matmul_workspace = {alloc(kMatmulWorkspaceBytes), kMatmulWorkspaceBytes};
  g_attention_plan = {alloc(kAttentionPlanBytes), kAttentionPlanBytes};
  check(cudaMemset(g_counters.data, 0, kCounterBytes));
  check(cudaDeviceSynchronize());  // our streams do not wait for the default one
}

}  // namespace ll::cuda
