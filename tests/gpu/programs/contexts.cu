// The same two experiments across contexts: green ones, which share the primary
// context's memory, and a second one.
#include "hazard.cuh"

#include <cstring>

namespace {

constexpr size_t BYTES = 64u << 10;
constexpr size_t WORDS = BYTES / 4;

// ---- green contexts -------------------------------------------------------

// A non-blocking stream on sixteen multiprocessors of their own, or NULL and why.
cudaStream_t green_stream(std::string &why) {
    auto resource = DRIVER(cuDeviceGetDevResource);
    auto split = DRIVER(cuDevSmResourceSplitByCount);
    auto describe = DRIVER(cuDevResourceGenerateDesc);
    auto create = DRIVER(cuGreenCtxCreate);
    auto stream_create = DRIVER(cuGreenCtxStreamCreate);
    if (!resource || !split || !describe || !create || !stream_create) {
        why = "the driver has no green contexts";
        return nullptr;
    }
    CUdevResource all, part, rest;
    unsigned groups = 1;
    CUdevResourceDesc description;
    CUgreenCtx context;
    CUstream stream;
    CHECK_DRIVER(resource(0, &all, CU_DEV_RESOURCE_TYPE_SM));
    CHECK_DRIVER(split(&part, &groups, &all, &rest, 0, 16));
    CHECK_DRIVER(describe(&description, &part, 1));
    CHECK_DRIVER(create(&context, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    CHECK_DRIVER(stream_create(&stream, context, CU_STREAM_NON_BLOCKING, 0));
    return (cudaStream_t)stream;
}

void run_green(Bench &bench, const char *pattern) {
    auto green = std::make_shared<cudaStream_t>();
    auto prepare = [green, &bench](unsigned *block) -> std::string {
        std::string why;
        if (!*green) *green = green_stream(why);
        if (*green) {
            copy<<<BLOCKS, THREADS, 0, *green>>>(bench.result, block, WORDS, 0);
            fill<<<BLOCKS, THREADS, 0, *green>>>(bench.result, WORDS, OLD, 0);
            CHECK(cudaDeviceSynchronize());
        }
        return why;
    };
    auto fill_in = [](unsigned *block, cudaStream_t stream) {
        fill<<<BLOCKS, THREADS, 0, stream>>>(block, WORDS, NEW, 0);
        CHECK(cudaGetLastError());
        return nullptr;
    };
    auto late = [green, &bench](unsigned *block, size_t words) {
        copy<<<BLOCKS, THREADS, 0, *green>>>(bench.result, block, words, LATE_US);
    };
    Kind is_late = {"green-is-late", BYTES, prepare,
                    [&bench, fill_in](unsigned *block) { return fill_in(block, bench.other); }};
    is_late.late = late;
    Kind overwrites = {"green-overwrites", BYTES, prepare,
                       [green, fill_in](unsigned *block) { return fill_in(block, *green); }};
    Kind writes = {"green-writes-late", BYTES, prepare, [&bench](unsigned *block) {
                       CHECK(cudaMemcpyAsync(bench.result, block, BYTES, cudaMemcpyDeviceToDevice,
                                             bench.other));
                       return bench.result;
                   }};
    writes.late = [green](unsigned *block, size_t words) {
        fill<<<BLOCKS, THREADS, 0, *green>>>(block, words, NEW, LATE_US);
    };
    writes.reads_to_device = true;
    for (const Kind &kind : {is_late, overwrites})
        if (strstr(kind.name.c_str(), pattern)) run_overwrite(bench, kind);
    if (strstr(writes.name.c_str(), pattern)) run_read(bench, writes);
}

// ---- a second context -----------------------------------------------------

CUcontext make_context() {
    CUcontext context = nullptr;
    auto create = driver_function<CUresult (*)(CUcontext *, unsigned, CUdevice)>("cuCtxCreate_v2");
    if (create) CHECK_DRIVER(create(&context, 0, 0));
    return context;
}

Kind plain_fill(Bench &bench, const char *name) {
    return {name, BYTES, {}, [&bench](unsigned *block) {
                fill<<<BLOCKS, THREADS, 0, bench.other>>>(block, WORDS, NEW, 0);
                CHECK(cudaGetLastError());
                return nullptr;
            }};
}

void run_second_context(Bench &bench, const char *pattern) {
    if (!strstr("second-context-frees", pattern)) return;
    auto set_current = DRIVER(cuCtxSetCurrent);
    auto get_current = DRIVER(cuCtxGetCurrent);
    auto free_block = DRIVER(cuMemFree);
    CUcontext first, second;
    CHECK_DRIVER(get_current(&first));
    second = make_context();
    // The new context is current: everything of the experiment lives in it.
    Bench inside;
    run_overwrite(inside, plain_fill(inside, "second-context"));
    CHECK_DRIVER(set_current(first));

    // The block belongs to the first context, freed while the second is current.
    Kind frees = plain_fill(bench, "second-context-frees");
    frees.release = [=](unsigned *block) {
        CHECK_DRIVER(set_current(second));
        CHECK_DRIVER(free_block((CUdeviceptr)block));
        CHECK_DRIVER(set_current(first));
    };
    run_overwrite(bench, frees);
}

} // namespace

void run_contexts(Bench &bench, const char *pattern) {
    run_green(bench, pattern);
    try {
        run_second_context(bench, pattern);
    } catch (const Failure &failure) {
        printf("second-context error: %s\n", failure.what());
    }
}
