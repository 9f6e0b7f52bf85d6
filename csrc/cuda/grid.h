/* How a device kernel is written: as the work of one block of threads, in stretches between which all of them meet.
 * A processor that emulates it does a stretch for one thread after the other. */
#pragma once
#include "device.h"
#include "../kernels/vectors.h"

enum { THREADS = PMC_BLOCK_THREADS };

#ifdef __CUDACC__
#define BLOCK static __device__ void
#define SHARED __shared__
#define FOR_THREADS(t) for (int t = (int)threadIdx.x, t##_busy = 1; t##_busy; t##_busy = 0, __syncthreads())
#define UNROLL _Pragma("unroll")
#define EACH 1 /* so many threads' own variables are where a thread can see them */
#define OWN(t) (0 * (t))
#define DEVICE_KERNEL(name)                                                                                            \
    static __global__ void __launch_bounds__(THREADS) name##_kernel(const __grid_constant__ pmc_job job) {             \
        name##_block(&job, (int64_t)blockIdx.x);                                                                       \
    }                                                                                                                  \
    static const pmc_device_kernel name##_device_kernel = {#name, name##_blocks, (const void *)name##_kernel};
#else
#define BLOCK static void
#define SHARED
#define FOR_THREADS(t) for (int t = 0; t < THREADS; t++)
#define UNROLL
#define EACH THREADS
#define OWN(t) (t)
#define DEVICE_KERNEL(name) static const pmc_device_kernel name##_device_kernel = {#name, name##_blocks, name##_block};
#endif

INLINE int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* A kernel that works item by item: name##_items(job) of each of `copies`, and name##_item(job, copy, item) */
#define ITEMS(name, copies)                                                                                            \
    static int64_t name##_blocks(const pmc_job *j) { return (copies)*blocks_of(name##_items(j), THREADS); }            \
    BLOCK name##_block(const pmc_job *j, int64_t block) {                                                              \
        const int64_t items = name##_items(j), blocks = blocks_of(items, THREADS);                                     \
        FOR_THREADS(t) {                                                                                               \
            const int64_t item = block % blocks * THREADS + t;                                                         \
            if (item < items) name##_item(j, block / blocks, item);                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_KERNEL(name)
#define PER_SAMPLE(name) ITEMS(name, j->n)
#define PER_SHARD(name) ITEMS(name, j->shards)
#define ALONE(name) ITEMS(name, 1)

/* The tensor of a sample, and of a shard. */
#define SAMPLE(i, sample, stride) ((real *)j->ref[i] + (sample) * (stride))
#define SHARD(i, shard) ((real *)j->ref[i] + (shard)*j->shard_elements)

INLINE int64_t first_of_shard(const pmc_job *j, int64_t shard) { return pmc_shard_begin(shard, j->shards, j->n); }

/* Where element e of the inside of an image lies, in the order h, w, c. */
INLINE int64_t inside(const pmc_image *s, int64_t e) {
    const int32_t width = (int32_t)(s->w * s->c), row = (int32_t)e / width;
    return (s->top + row) * pmc_image_pitch(s) + s->left * s->c + (int32_t)e % width;
}

/* ... and in the order c, h, w, as the caller's arrays are. */
INLINE int64_t inside_by_channel(const pmc_image *s, int64_t e) {
    const int32_t size = (int32_t)(s->h * s->w), channel = (int32_t)e / size, pixel = (int32_t)e % size;
    const int32_t width = (int32_t)s->w;
    return (s->top + pixel / width) * pmc_image_pitch(s) + (s->left + pixel % width) * s->c + channel;
}

/* The op's layer has made something NaN or infinite: the first layer is named. */
INLINE void name_bad_layer(const pmc_job *j) {
#ifdef __CUDA_ARCH__
    atomicMin((long long *)&j->step->bad_layer, (long long)j->op.layer);
#else
    j->step->bad_layer = MIN(j->step->bad_layer, j->op.layer);
#endif
}

INLINE int64_t image_elements(const pmc_image *s) { return s->h * s->w * s->c; }
