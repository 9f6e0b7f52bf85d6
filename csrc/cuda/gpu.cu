/* The first NVIDIA GPU that CUDA shows. No call is unchecked: what a call says is kept as text, once. */
#include "device.h"

#include <cuda_runtime.h>

#include <stdio.h>

static thread_local char message[320];

static const char *said(cudaError_t code) {
    switch (code) {
    case cudaErrorNoDevice: return "there is no NVIDIA GPU";
    case cudaErrorInsufficientDriver: return "the NVIDIA driver is missing or too old for this build";
    case cudaErrorNoKernelImageForDevice: return "this build has no code for this GPU's architecture";
    case cudaErrorMemoryAllocation: return "the GPU has not enough memory";
    case cudaErrorInitializationError:
        return "CUDA did not start; it does not in a process that was forked after its start";
    default: return cudaGetErrorString(code);
    }
}

/* PMC_OK; or a status, and the message of what was tried. An error that stays with the device is not left behind for
 * the next call to find. */
static pmc_status checked(cudaError_t code, const char *what) {
    if (code == cudaSuccess) return PMC_OK;
    cudaGetLastError();
    snprintf(message, sizeof message, "%s: %s (%s)", what, said(code), cudaGetErrorName(code));
    return code == cudaErrorMemoryAllocation ? PMC_DEVICE_MEMORY : PMC_DEVICE_FAILED;
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const pmc_status status = checked(call, #call);                                                                \
        if (status != PMC_OK) return status;                                                                           \
    } while (0)

static cudaStream_t stream(void *queue) { return (cudaStream_t)queue; }

static pmc_status open_queue(void **queue) {
    cudaStream_t s;
    TRY(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    *queue = s;
    return PMC_OK;
}
static void close_queue(void *queue) {
    cudaStreamSynchronize(stream(queue)); /* nothing can be told here: memory is given back in any case */
    cudaStreamDestroy(stream(queue));
    cudaGetLastError();
}

static pmc_status allocate(void **memory, int64_t bytes) {
    *memory = NULL;
    TRY(cudaMalloc(memory, (size_t)bytes + 1));
    const pmc_status status = checked(cudaMemset(*memory, 0, (size_t)bytes + 1), "cudaMemset");
    if (status != PMC_OK) cudaFree(*memory), *memory = NULL;
    return status;
}
static void release(void *memory) {
    cudaFree(memory);
    cudaGetLastError();
}

static pmc_status fill(void *queue, void *memory, int byte, int64_t bytes) {
    TRY(cudaMemsetAsync(memory, byte, (size_t)bytes, stream(queue)));
    return PMC_OK;
}
static pmc_status upload(void *queue, void *to, const void *from, int64_t bytes) {
    TRY(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, stream(queue)));
    return PMC_OK;
}
static pmc_status download(void *queue, void *to, const void *from, int64_t bytes) {
    TRY(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDeviceToHost, stream(queue)));
    return PMC_OK;
}

static pmc_status launch(void *queue, const pmc_device_kernel *kernel, const pmc_job *job) {
    const int64_t blocks = kernel->blocks(job);
    void *arguments[] = {(void *)job};
    if (blocks <= 0) return PMC_OK;
    if (blocks > INT32_MAX) {
        snprintf(message, sizeof message, "%s: %lld blocks are more than a GPU takes", kernel->name, (long long)blocks);
        return PMC_DEVICE_FAILED;
    }
    return checked(
        cudaLaunchKernel(kernel->kernel, dim3((unsigned)blocks), dim3(PMC_BLOCK_THREADS), arguments, 0, stream(queue)),
        kernel->name);
}

static pmc_status record(void *queue) {
    TRY(cudaStreamBeginCapture(stream(queue), cudaStreamCaptureModeThreadLocal));
    return PMC_OK;
}
static pmc_status recorded(void *queue, void **graph) {
    cudaGraph_t captured;
    cudaGraphExec_t executable = NULL;
    TRY(cudaStreamEndCapture(stream(queue), &captured));
    const pmc_status status = checked(cudaGraphInstantiate(&executable, captured, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(captured);
    *graph = executable;
    return status;
}
static pmc_status replay(void *queue, void *graph) {
    TRY(cudaGraphLaunch((cudaGraphExec_t)graph, stream(queue)));
    return PMC_OK;
}
static void forget(void *graph) {
    cudaGraphExecDestroy((cudaGraphExec_t)graph);
    cudaGetLastError();
}

static pmc_status finish(void *queue) {
    TRY(cudaStreamSynchronize(stream(queue)));
    return PMC_OK;
}

static const char *error(void) { return message; }

const char *pmc_gpu_architectures(void) { return PMC_CUDA_ARCHITECTURES; }

static const char *problem(void) {
    cudaFuncAttributes attributes;
    int devices = 0;
    if (checked(cudaGetDeviceCount(&devices), "looking for a GPU") != PMC_OK) return message;
    if (checked(cudaFuncGetAttributes(&attributes, pmc_gpu_kernel_f32(PMC_INPUT)->kernel),
                "looking for this GPU's code in this build, which has it for " PMC_CUDA_ARCHITECTURES) != PMC_OK)
        return message;
    return NULL;
}

void pmc_gpu_describe(char *text, size_t size) {
    cudaDeviceProp device;
    int driver = 0, runtime = 0;
    text[0] = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || cudaRuntimeGetVersion(&runtime) != cudaSuccess ||
        cudaGetDeviceProperties(&device, 0) != cudaSuccess) {
        cudaGetLastError();
        return;
    }
    snprintf(text, size, "%s, compute capability %d.%d, %.0f GB; CUDA %d.%d, driver's %d.%d", device.name, device.major,
             device.minor, (double)device.totalGlobalMem / 1e9, runtime / 1000, runtime % 1000 / 10, driver / 1000,
             driver % 1000 / 10);
}

#define GPU(of_products)                                                                                               \
    {                                                                                                                  \
        of_products, problem, {pmc_gpu_kernel_f32, pmc_gpu_kernel_f64}, open_queue, close_queue, allocate, release,    \
            fill, upload, download, launch, record, recorded, replay, forget, finish, error,                           \
    }
const pmc_device pmc_gpu_devices[PMC_PRECISIONS] = {GPU(PMC_FULL), GPU(PMC_TF32), GPU(PMC_BF16)};
