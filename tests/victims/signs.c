/* Makes the one call that its argument names, by which somebody could tell a fence from a wait,
 * and then allocates and frees as before. The program itself looks at nothing. */
#include "drv.h"

static void make_sign(const char *name)
{
    CUstream stream;
    CUdeviceptr p;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&p, MIB));
    OK(cuMemsetD32(p, 1, 1));
    OK(cuCtxSynchronize());
    if (strcmp(name, "host-alloc") == 0) {
        void *host;
        OK(cuMemHostAlloc(&host, 4096, 0));
        OK(cuMemFreeHost(host));
    } else if (strcmp(name, "alloc-host") == 0) {
        void *host;
        OK(cuMemAllocHost(&host, 4096));
        OK(cuMemFreeHost(host));
    } else if (strcmp(name, "managed") == 0 || strcmp(name, "on_device") == 0) {
        CUmodule module;
        CUdeviceptr variable;
        OK(cuModuleLoadData(&module, "simcuda kernels"));
        OK(cuModuleGetGlobal(&variable, NULL, module, name));
    } else if (strcmp(name, "wait-value") == 0) {
        OK(cuStreamWaitValue32(stream, p, 1, CU_STREAM_WAIT_VALUE_EQ));
        OK(cuStreamSynchronize(stream));
    } else if (strcmp(name, "ipc") == 0) {
        CUipcMemHandle handle;
        OK(cuIpcGetMemHandle(&handle, p));
    } else if (strcmp(name, "second-device") == 0) {
        CUcontext first, second;
        CUdevice device;
        CUdeviceptr other;
        OK(cuCtxGetCurrent(&first));
        OK(cuDeviceGet(&device, 1));
        OK(cuCtxCreate_v2(&second, 0, device));
        OK(cuMemAlloc(&other, MIB));
        OK(cuMemFree(other));
        OK(cuCtxSetCurrent(first));
    } else {
        EXPECT(strcmp(name, "none") == 0);
    }
    OK(cuMemFree(p));
    OK(cuStreamDestroy(stream));
}

int main(int argc, char **argv)
{
    const char *sign = argc > 1 ? argv[1] : "none";
    drv_context();
    make_sign(sign);
    for (int round = 0; round < 10; round++) {
        CUdeviceptr p;
        OK(cuMemAlloc(&p, MIB));
        OK(cuMemsetD32(p, round, MIB / 4));
        OK(cuMemFree(p));
    }
    printf("%s: done\n", sign);
    return 0;
}
