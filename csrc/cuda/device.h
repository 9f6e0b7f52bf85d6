/* What a plan needs of a device other than the processor: memory, and twins of the kernels.
 *
 * There are two devices: an NVIDIA GPU (gpu.cu), and one that is emulated (emulated.c), which runs the same twins on
 * the processor, thread by thread, so that a machine without a GPU tests all of their arithmetic, too. */
#ifndef PMC_DEVICE_H
#define PMC_DEVICE_H

#include "../pmc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What changes from run to run and from step to step; it lies on the device, so that a step that was recorded once can
 * be replayed. Arrays as in pmc_run_args. */
typedef struct {
    const int64_t *index;
    const uint8_t *x_u8;
    const real *x_real;
    const int32_t *labels;
    const real *targets;
    const double *sample_weight, *class_weight;
    real *y;
    const real *dy;
    real *dx;
    const pmc_coefficients *coefficients; /* a step each, as are: */
    double *loss, *weight;
    int64_t *correct;
    uint64_t seed;
    uint32_t epoch, first_position;
    int64_t start, step;         /* the first sample of the step in hand, and its number */
    int64_t bad_layer, bad_step; /* the first that made a parameter NaN or infinite; INT64_MAX */
} pmc_board;

/* Of products of float32: as they are, or on tensor cores, of factors rounded to TF32 or bfloat16. */
enum { PMC_FULL, PMC_TF32, PMC_BF16, PMC_PRECISIONS };

/* One launch: an op, where its tensors lie on the device (of the first sample and the first shard), how many samples.
 */
typedef struct {
    pmc_op op;
    void *ref[PMC_REFS];
    int64_t n, shards, shard_elements; /* samples of a step, shards, elements from a shard's gradients to the next's */
    pmc_board *board;
    double *loss; /* of each sample of the step */
    uint8_t *correct;
    int64_t optimizer, model_elements, precision;
    void *gradient, *moment[PMC_MOMENTS], *average; /* of what is updated, beside ref[0] */
} pmc_job;

enum { PMC_BLOCK_THREADS = 128 };

/* A kernel's twin: in how many blocks of threads it does a job, and a block's part. */
typedef struct {
    const char *name;
    int64_t (*blocks)(const pmc_job *job);
#ifdef __CUDACC__
    const void *kernel;
#else
    void (*kernel)(const pmc_job *job, int64_t block);
#endif
} pmc_twin;

/* The twin of an op kind; of PMC_OP_KINDS: what ends a step. */
const pmc_twin *pmc_twin_gpu_f32(int64_t kind);
const pmc_twin *pmc_twin_gpu_f64(int64_t kind);
const pmc_twin *pmc_twin_emulated_f32(int64_t kind);
const pmc_twin *pmc_twin_emulated_f64(int64_t kind);

/* Queues do what they are given in its order. Between `record` and `recorded` launches are not done but kept, to be
 * replayed. Every function that can fail returns PMC_DEVICE_MEMORY or PMC_DEVICE_FAILED; error() then says why. */
struct pmc_device {
    const char *name;
    int64_t precision;
    const char *(*problem)(void); /* why it cannot be used here; NULL: it can */
    const pmc_twin *(*twin[PMC_DTYPES])(int64_t kind);
    pmc_status (*open)(void **queue);
    void (*close)(void *queue);
    pmc_status (*allocate)(void **memory, int64_t bytes);
    void (*release)(void *memory);
    pmc_status (*fill)(void *queue, void *memory, int byte, int64_t bytes);
    pmc_status (*upload)(void *queue, void *to, const void *from, int64_t bytes);
    pmc_status (*download)(void *queue, void *to, const void *from, int64_t bytes);
    pmc_status (*launch)(void *queue, const pmc_twin *twin, const pmc_job *job);
    pmc_status (*record)(void *queue);
    pmc_status (*recorded)(void *queue, void **graph);
    pmc_status (*replay)(void *queue, void *graph);
    void (*forget)(void *graph);
    pmc_status (*finish)(void *queue);
    const char *(*error)(void);
};

extern const pmc_device pmc_emulated_devices[PMC_PRECISIONS];
#ifdef PMC_HAVE_CUDA
extern const pmc_device pmc_gpu_devices[PMC_PRECISIONS];
const char *pmc_gpu_architectures(void);
void pmc_gpu_describe(char *text, size_t size);
#endif

#ifdef __cplusplus
}
#endif

#endif
