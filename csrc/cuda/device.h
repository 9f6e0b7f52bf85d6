/* What a plan needs of a device other than the processor: memory, and kernels.
 *
 * There are two devices: an NVIDIA GPU (gpu.cu), and one that is emulated (emulated.c), which runs the same kernels on
 * the processor, thread by thread, so that a machine without a GPU tests all of their arithmetic, too. */
#pragma once

#include "../kernels.h"
#include "../pmc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of products of float32: as they are, or on tensor cores, of factors rounded to TF32 or bfloat16. */
enum { PMC_FULL, PMC_TF32, PMC_BF16, PMC_PRECISIONS };

/* One launch: an op, where its tensors lie on the device (of the first sample and the first shard), how many samples.
 * The step lies on the device, too, so that a step that was recorded once can be replayed. */
typedef struct {
    pmc_op op;
    void *ref[PMC_REFS];
    int64_t n, shards, shard_elements; /* samples of a step, shards, elements from a shard's gradients to the next's */
    int64_t model_elements, precision;
    pmc_step *step;
} pmc_job;

enum { PMC_BLOCK_THREADS = 128 };

/* In how many blocks of threads a device kernel does a job, and a block's part. */
typedef struct {
    const char *name;
    int64_t (*blocks)(const pmc_job *job);
#ifdef __CUDACC__
    const void *kernel;
#else
    void (*kernel)(const pmc_job *job, int64_t block);
#endif
} pmc_device_kernel;

/* The device kernel of an op kind; of PMC_OP_KINDS: what ends a step. */
const pmc_device_kernel *pmc_gpu_kernel_f32(int64_t kind);
const pmc_device_kernel *pmc_gpu_kernel_f64(int64_t kind);
const pmc_device_kernel *pmc_emulated_kernel_f32(int64_t kind);
const pmc_device_kernel *pmc_emulated_kernel_f64(int64_t kind);

/* Queues do what they are given in its order. Between `record` and `recorded` launches are not done but kept, to be
 * replayed. Every function that can fail returns PMC_DEVICE_MEMORY or PMC_DEVICE_FAILED; error() then says why. */
typedef struct pmc_device {
    int64_t precision;
    const char *(*problem)(void); /* why it cannot be used here; NULL: it can */
    const pmc_device_kernel *(*kernel[PMC_DTYPES])(int64_t kind);
    pmc_status (*open)(void **queue);
    void (*close)(void *queue);
    pmc_status (*allocate)(void **memory, int64_t bytes);
    void (*release)(void *memory);
    pmc_status (*fill)(void *queue, void *memory, int byte, int64_t bytes);
    pmc_status (*upload)(void *queue, void *to, const void *from, int64_t bytes);
    pmc_status (*download)(void *queue, void *to, const void *from, int64_t bytes);
    pmc_status (*launch)(void *queue, const pmc_device_kernel *kernel, const pmc_job *job);
    pmc_status (*record)(void *queue);
    pmc_status (*recorded)(void *queue, void **graph);
    pmc_status (*replay)(void *queue, void *graph);
    void (*forget)(void *graph);
    pmc_status (*finish)(void *queue);
    const char *(*error)(void);
} pmc_device;

extern const pmc_device pmc_emulated_devices[PMC_PRECISIONS];
#ifdef PMC_HAVE_CUDA
extern const pmc_device pmc_gpu_devices[PMC_PRECISIONS];
const char *pmc_gpu_architectures(void);
void pmc_gpu_describe(char *text, size_t size);
#endif

#ifdef __cplusplus
}
#endif
