/* The native half of Host.java, linked to libcuda. */
#include <cuda.h>
#include <jni.h>

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);

static CUcontext context;

JNIEXPORT jint JNICALL Java_Host_begin(JNIEnv *java, jclass host)
{
    (void)java;
    (void)host;
    CUresult result = cuInit(0);
    return (jint)(result ? result : cuCtxCreate_v2(&context, 0, 0));
}

JNIEXPORT jint JNICALL Java_Host_once(JNIEnv *java, jclass host, jint value)
{
    (void)java;
    (void)host;
    CUdeviceptr p = 0;
    jint word = 0;
    CUresult result = cuCtxSetCurrent(context);
    if (result == CUDA_SUCCESS)
        result = cuMemAlloc(&p, 1 << 20);
    if (result == CUDA_SUCCESS)
        result = cuMemsetD32(p, (unsigned)value, 1 << 18);
    if (result == CUDA_SUCCESS)
        result = cuMemcpyDtoH(&word, p + 4096, sizeof word);
    if (result == CUDA_SUCCESS && word != value)
        return -1;
    return (jint)(result ? result : cuMemFree(p));
}
