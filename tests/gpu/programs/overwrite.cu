// The kinds of operation that may overwrite a block right after its free.
// Those that by themselves make `auto` strict come last, so that the others
// run while `auto` still fences.
#include "hazard.cuh"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace {

// A host thread that runs one job at a time and has used CUDA before.
class Helper {
  public:
    Helper() : thread_([this] { serve(); }) {
        run([] { CHECK(cudaFree(nullptr)); });
    }
    ~Helper() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    // Runs `job` on the thread and waits until it returned.
    void run(std::function<void()> job) {
        std::unique_lock<std::mutex> lock(mutex_);
        job_ = job;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !job_; });
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return stop_ || job_; });
            if (stop_) return;
            job_();
            job_ = nullptr;
            changed_.notify_all();
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> job_;
    bool stop_ = false;
    std::thread thread_;
};

void launch_fill(unsigned *block, size_t bytes, cudaStream_t stream) {
    fill<<<BLOCKS, THREADS, 0, stream>>>(block, bytes / 4, NEW, 0);
    CHECK(cudaGetLastError());
}

Kind host_copy(Bench &bench, size_t bytes, bool pinned, bool async) {
    std::string name = std::string("h2d-") + (pinned ? "pinned-" : "pageable-") +
                       (async ? "async-" : "sync-") + size_name(bytes);
    return {name, bytes,
            [&bench, pinned](unsigned *) {
                if (pinned) bench.pinned();
                return "";
            },
            [&bench, bytes, pinned, async](unsigned *block) {
                const unsigned *from = pinned ? bench.pinned() : bench.pageable;
                if (async)
                    CHECK(cudaMemcpyAsync(block, from, bytes, cudaMemcpyHostToDevice, bench.other));
                else
                    CHECK(cudaMemcpy(block, from, bytes, cudaMemcpyHostToDevice));
                return nullptr;
            }};
}

// An operation that needs nothing prepared.
Kind plain(const char *name, size_t bytes, std::function<void(unsigned *)> act) {
    return {name, bytes, {}, [act](unsigned *block) {
                act(block);
                return nullptr;
            }};
}

// A graph whose one node overwrites the block.
Kind graph(Bench &bench, const char *name, size_t bytes,
           std::function<void(cudaGraph_t, unsigned *)> add_node) {
    auto exec = std::make_shared<cudaGraphExec_t>();
    return {name, bytes,
            [&bench, exec, add_node](unsigned *block) {
                cudaGraph_t graph;
                CHECK(cudaGraphCreate(&graph, 0));
                add_node(graph, block);
                CHECK(cudaGraphInstantiate(exec.get(), graph, 0));
                CHECK(cudaGraphUpload(*exec, bench.other));
                return "";
            },
            [&bench, exec](unsigned *) {
                CHECK(cudaGraphLaunch(*exec, bench.other));
                return nullptr;
            }};
}

void add_fill_node(cudaGraph_t graph, unsigned *block, size_t bytes) {
    size_t words = bytes / 4;
    unsigned value = NEW;
    long delay = 0;
    void *arguments[] = {&block, &words, &value, &delay};
    cudaKernelNodeParams node = {};
    node.func = (void *)fill;
    node.gridDim = dim3(BLOCKS);
    node.blockDim = dim3(THREADS);
    node.kernelParams = arguments;
    cudaGraphNode_t added;
    CHECK(cudaGraphAddKernelNode(&added, graph, nullptr, 0, &node));
}

Kind write_value(Bench &bench) {
    auto write = DRIVER(cuStreamWriteValue32);
    return {"write-value-32", 4,
            [write](unsigned *) { return write ? "" : "the driver has no cuStreamWriteValue32"; },
            [&bench, write](unsigned *block) {
                CHECK_DRIVER(write((CUstream)bench.other, (CUdeviceptr)block, NEW, 0));
                return nullptr;
            }};
}

} // namespace

std::vector<Kind> overwrite_kinds(Bench &bench) {
    const size_t small = 64u << 10, large = 16u << 20;
    const size_t sizes[] = {4, small, large};
    std::vector<Kind> kinds;
    for (bool async : {false, true})
        for (size_t bytes : sizes) kinds.push_back(host_copy(bench, bytes, false, async));
    kinds.push_back(plain("memset-sync", small, [=](unsigned *block) {
        CHECK(cudaMemset(block, NEW & 0xff, small));
    }));
    kinds.push_back(plain("memset-async", small, [=, &bench](unsigned *block) {
        CHECK(cudaMemsetAsync(block, NEW & 0xff, small, bench.other));
    }));
    kinds.push_back(plain("d2d", large, [=, &bench](unsigned *block) {
        CHECK(cudaMemcpyAsync(block, bench.source, large, cudaMemcpyDeviceToDevice, bench.other));
    }));
    kinds.push_back(plain("copy-2d", small, [=, &bench](unsigned *block) {
        CHECK(cudaMemcpy2DAsync(block, 1024, bench.pageable, 2048, 1024, 64,
                                cudaMemcpyHostToDevice, bench.other));
    }));
    kinds.push_back(plain("kernel-legacy-stream", small, [=](unsigned *block) {
        launch_fill(block, small, cudaStreamLegacy);
    }));
    kinds.push_back(plain("kernel-other-stream", large, [=, &bench](unsigned *block) {
        launch_fill(block, large, bench.other);
    }));
    kinds.push_back(plain("kernel-per-thread-stream", small, [=](unsigned *block) {
        launch_fill(block, small, cudaStreamPerThread);
    }));
    kinds.push_back(plain("kernel-new-stream", small, [=](unsigned *block) {
        cudaStream_t fresh;
        CHECK(cudaStreamCreateWithFlags(&fresh, cudaStreamNonBlocking));
        launch_fill(block, small, fresh);
        CHECK(cudaStreamDestroy(fresh));
    }));
    kinds.push_back(graph(bench, "graph-kernel", small, [=](cudaGraph_t g, unsigned *block) {
        add_fill_node(g, block, small);
    }));
    kinds.push_back(graph(bench, "graph-memcpy", large, [=, &bench](cudaGraph_t g, unsigned *block) {
        cudaGraphNode_t added;
        CHECK(cudaGraphAddMemcpyNode1D(&added, g, nullptr, 0, block, bench.source, large,
                                       cudaMemcpyDeviceToDevice));
    }));
    kinds.push_back(write_value(bench));
    for (bool async : {false, true})
        for (size_t bytes : sizes) kinds.push_back(host_copy(bench, bytes, true, async));
    auto helper = std::make_shared<std::unique_ptr<Helper>>();
    kinds.push_back({"kernel-other-thread", small,
                     [helper](unsigned *) {
                         if (!*helper) helper->reset(new Helper);
                         return "";
                     },
                     [=, &bench](unsigned *block) {
                         (*helper)->run([=, &bench] { launch_fill(block, small, bench.other); });
                         return nullptr;
                     }});
    return kinds;
}
