// no_context: what driver calls about a block return on a thread that has no current context, a line
// each, `call: result`. No expectation: run bare it tells what is native, run pooled what is ours.
#include "common.cuh"

#include <thread>

namespace {

const auto allocate = DRIVER(cuMemAlloc);
const auto release = DRIVER(cuMemFree);
const auto set_current = DRIVER(cuCtxSetCurrent);
const auto get_current = DRIVER(cuCtxGetCurrent);
const auto range = DRIVER(cuMemGetAddressRange);

CUdeviceptr block(CUcontext context) {
    CUdeviceptr ptr;
    CHECK_DRIVER(set_current(context));
    CHECK_DRIVER(allocate(&ptr, 1 << 20));
    return ptr;
}

void show(const char *call, CUresult result) { printf("%s: %d\n", call, (int)result); }

// Frees `ptr` without a context, then with one.
void free_twice(const char *where, CUdeviceptr ptr, CUcontext context) {
    printf("%s\n", where);
    CUdeviceptr base;
    size_t bytes;
    CHECK_DRIVER(set_current(nullptr));
    show("  cuMemGetAddressRange", range(&base, &bytes, ptr));
    show("  cuMemFree", release(ptr));
    show("  cuMemFree(0)", release(0));
    show("  cuMemFree(no block)", release(0x1000));
    CUdeviceptr none = 1;
    show("  cuMemAlloc", allocate(&none, 1 << 20));
    printf("  leaves the pointer %s\n", none == 1 ? "alone" : none == 0 ? "0" : "at a block");
    CHECK_DRIVER(set_current(context));
    show("  cuMemFree with the context", release(ptr));
}

}  // namespace

int main() try {
    CHECK(cudaFree(nullptr));
    CUcontext context;
    CHECK_DRIVER(get_current(&context));
    free_twice("on the thread that allocated", block(context), context);
    CUdeviceptr ptr = block(context);
    std::thread([=] {
        try {
            free_twice("on a thread that never had one", ptr, context);
        } catch (const std::exception &failure) {
            printf("%s\n", failure.what());
        }
    }).join();
    CHECK(cudaDeviceSynchronize());
} catch (const std::exception &failure) {
    fprintf(stderr, "%s\n", failure.what());
    return 1;
}
