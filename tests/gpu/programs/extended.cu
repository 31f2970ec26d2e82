// The same two experiments where CUDA offers more ways than the classic ones:
// batch copies, programmatic dependent launch, graphs launched from the device
// and stream-ordered memory.
#include "hazard.cuh"

#include <cstring>

namespace {

constexpr size_t BYTES = 64u << 10;
constexpr size_t WORDS = BYTES / 4;

// A late reader that lets a programmatically dependent kernel start at once.
__global__ void copy_early_trigger(unsigned *to, const unsigned *from, size_t words, long delay_us) {
    cudaTriggerProgrammaticLaunchCompletion();
    spin_us(delay_us);
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words;
         i += (size_t)gridDim.x * blockDim.x)
        to[i] = __ldcg(from + i);
}

__global__ void launch_graph(cudaGraphExec_t graph) {
    cudaGraphLaunch(graph, cudaStreamGraphFireAndForget);
}

// ---- batch copies ---------------------------------------------------------

void batch_copy(void *to, const void *from, cudaStream_t stream) {
#if CUDART_VERSION >= 13000
    // In two halves: a batch of one is no batch.
    void *destinations[] = {to, (char *)to + BYTES / 2};
    const void *sources[] = {from, (const char *)from + BYTES / 2};
    size_t sizes[] = {BYTES / 2, BYTES / 2};
    cudaMemcpyAttributes attributes = {};
    attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    size_t first = 0;
    CHECK(cudaMemcpyBatchAsync(destinations, sources, sizes, 2, &attributes, &first, 1, stream));
#else
    (void)to, (void)from, (void)stream;
#endif
}

std::string batch_support(unsigned *) {
    return CUDART_VERSION >= 13000 ? "" : "the toolkit's batch copy has another signature";
}

// ---- programmatic dependent launch ----------------------------------------

void launch_dependent_fill(unsigned *block, cudaStream_t stream) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(BLOCKS);
    config.blockDim = dim3(THREADS);
    config.stream = stream;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    CHECK(cudaLaunchKernelEx(&config, fill, block, WORDS, NEW, 0L));
}

// The dependent kernel follows the late one in its own stream.
Kind dependent_on_late(Bench &bench) {
    Kind kind = {"dependent-launch-same-stream", BYTES, {}, [&bench](unsigned *block) {
                     launch_dependent_fill(block, bench.late);
                     return nullptr;
                 }};
    kind.prepare = [&bench](unsigned *block) {
        copy_early_trigger<<<BLOCKS, THREADS, 0, bench.late>>>(bench.result, block, WORDS, 0);
        CHECK(cudaGetLastError());
        return "";
    };
    kind.late = [&bench](unsigned *block, size_t words) {
        copy_early_trigger<<<BLOCKS, THREADS, 0, bench.late>>>(bench.result, block, words, LATE_US);
    };
    return kind;
}

// The dependent kernel follows a short one in a third stream.
Kind dependent_elsewhere(Bench &bench) {
    return {"dependent-launch-other-stream", BYTES, {}, [&bench](unsigned *block) {
                copy_early_trigger<<<1, 1, 0, bench.other>>>(bench.source, bench.source, 0, 0);
                launch_dependent_fill(block, bench.other);
                return nullptr;
            }};
}

// ---- graphs launched from the device --------------------------------------

cudaGraphExec_t one_kernel_graph(void *kernel, void **arguments, dim3 grid, dim3 threads,
                                 unsigned long long flags, cudaStream_t stream) {
    cudaGraph_t graph;
    cudaGraphNode_t node;
    cudaGraphExec_t exec;
    cudaKernelNodeParams parameters = {};
    parameters.func = kernel;
    parameters.gridDim = grid;
    parameters.blockDim = threads;
    parameters.kernelParams = arguments;
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddKernelNode(&node, graph, nullptr, 0, &parameters));
    CHECK(cudaGraphInstantiate(&exec, graph, flags));
    CHECK(cudaGraphUpload(exec, stream));
    return exec;
}

// A graph whose kernel launches `inner` from the device.
cudaGraphExec_t launcher_graph(cudaGraphExec_t inner, cudaStream_t stream) {
    void *arguments[] = {&inner};
    return one_kernel_graph((void *)launch_graph, arguments, dim3(1), dim3(1), 0, stream);
}

Kind device_graph_overwrites(Bench &bench) {
    auto launcher = std::make_shared<cudaGraphExec_t>();
    return {"device-graph-overwrites", BYTES,
            [&bench, launcher](unsigned *block) {
                size_t words = WORDS;
                unsigned value = NEW;
                long delay = 0;
                void *arguments[] = {&block, &words, &value, &delay};
                cudaGraphExec_t inner =
                    one_kernel_graph((void *)fill, arguments, dim3(BLOCKS), dim3(THREADS),
                                     cudaGraphInstantiateFlagDeviceLaunch, bench.other);
                *launcher = launcher_graph(inner, bench.other);
                CHECK(cudaDeviceSynchronize());
                return "";
            },
            [&bench, launcher](unsigned *) {
                CHECK(cudaGraphLaunch(*launcher, bench.other));
                return nullptr;
            }};
}

Kind device_graph_is_late(Bench &bench) {
    auto launcher = std::make_shared<cudaGraphExec_t>();
    Kind kind = {"device-graph-is-late", BYTES,
                 [&bench, launcher](unsigned *block) {
                     size_t words = WORDS;
                     long delay = LATE_US;
                     void *arguments[] = {&bench.result, &block, &words, &delay};
                     cudaGraphExec_t inner =
                         one_kernel_graph((void *)copy, arguments, dim3(BLOCKS), dim3(THREADS),
                                          cudaGraphInstantiateFlagDeviceLaunch, bench.late);
                     *launcher = launcher_graph(inner, bench.late);
                     CHECK(cudaDeviceSynchronize());
                     return "";
                 },
                 [&bench](unsigned *block) {
                     fill<<<BLOCKS, THREADS, 0, bench.other>>>(block, WORDS, NEW, 0);
                     return nullptr;
                 }};
    kind.late = [&bench, launcher](unsigned *, size_t) {
        CHECK(cudaGraphLaunch(*launcher, bench.late));
    };
    return kind;
}

// ---- stream-ordered memory ------------------------------------------------

std::function<std::string(unsigned *)> stream_ordered(Bench &bench,
                                                      std::shared_ptr<unsigned *> block) {
    return [&bench, block](unsigned *) -> std::string {
        cudaError_t error = cudaMallocAsync((void **)block.get(), BYTES, bench.other);
        if (error != cudaSuccess) return cudaGetErrorName(error);
        fill<<<BLOCKS, THREADS, 0, bench.other>>>(*block, WORDS, NEW, 0);
        CHECK(cudaDeviceSynchronize());
        return "";
    };
}

Kind stream_ordered_source(Bench &bench) {
    auto from = std::make_shared<unsigned *>();
    return {"malloc-async-is-source", BYTES, stream_ordered(bench, from),
            [&bench, from](unsigned *block) {
                CHECK(cudaMemcpyAsync(block, *from, BYTES, cudaMemcpyDeviceToDevice, bench.other));
                return nullptr;
            }};
}

Kind stream_ordered_overwritten(Bench &bench) {
    auto memory = std::make_shared<unsigned *>();
    Kind kind = {"malloc-async-is-overwritten", BYTES, stream_ordered(bench, memory),
                 [&bench, memory](unsigned *) {
                     // Freed and had again, both in a stream that knows
                     // nothing of the late one.
                     CHECK(cudaFreeAsync(*memory, bench.other));
                     CHECK(cudaMallocAsync((void **)memory.get(), BYTES, bench.other));
                     fill<<<BLOCKS, THREADS, 0, bench.other>>>(*memory, WORDS, NEW, 0);
                     return nullptr;
                 }};
    kind.watched = memory;
    return kind;
}

Kind stream_ordered_read(Bench &bench) {
    auto memory = std::make_shared<unsigned *>();
    Kind kind = {"malloc-async-is-read", BYTES, stream_ordered(bench, memory),
                 [&bench](unsigned *from) {
                     CHECK(cudaMemcpyAsync(bench.result, from, BYTES, cudaMemcpyDeviceToDevice,
                                           bench.other));
                     return bench.result;
                 }};
    kind.watched = memory;
    kind.reads_to_device = true;
    return kind;
}

} // namespace

void run_extended(Bench &bench, const char *pattern) {
    std::vector<Kind> overwrites = {
        dependent_on_late(bench),       dependent_elsewhere(bench),
        device_graph_overwrites(bench), device_graph_is_late(bench),
        stream_ordered_source(bench),   stream_ordered_overwritten(bench),
    };
    overwrites.push_back({"batch-d2d", BYTES, batch_support, [&bench](unsigned *block) {
                              batch_copy(block, bench.source, bench.other);
                              return nullptr;
                          }});
    Kind batch_read = {"batch-read", BYTES, batch_support, [&bench](unsigned *block) {
                           batch_copy(bench.result, block, bench.other);
                           return bench.result;
                       }};
    batch_read.reads_to_device = true;
    Kind batch_pinned = {"batch-h2d-pinned", BYTES, batch_support, [&bench](unsigned *block) {
                             batch_copy(block, bench.pinned(), bench.other);
                             return nullptr;
                         }};
    for (const Kind &kind : overwrites)
        if (strstr(kind.name.c_str(), pattern)) run_overwrite(bench, kind);
    for (const Kind &kind : {stream_ordered_read(bench), batch_read})
        if (strstr(kind.name.c_str(), pattern)) run_read(bench, kind);
    // What makes `auto` strict comes last.
    if (strstr(batch_pinned.name.c_str(), pattern)) run_overwrite(bench, batch_pinned);
}
