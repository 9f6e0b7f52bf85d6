/* Every operation that a plan is made of, once. From this list come the enum and the names (Python's, too), the records
 * in operations.c, the kernels of every instruction set and the device kernels: an operation that lacks one of them
 * does not compile. */
#pragma once

#include "shapes.h"

#define PMC_OPERATIONS(OP)                                                                                             \
    OP(INPUT, input)                                                                                                   \
    OP(OUTPUT, output)                                                                                                 \
    OP(FLATTEN_FORWARD, flatten_forward)                                                                               \
    OP(FLATTEN_BACKWARD, flatten_backward)                                                                             \
    OP(CONV_PACK, conv_pack)                                                                                           \
    OP(CONV_FORWARD, conv_forward)                                                                                     \
    OP(CONV_WEIGHT_GRADIENT, conv_weight_gradient)                                                                     \
    OP(CONV_INPUT_GRADIENT, conv_input_gradient)                                                                       \
    OP(POOL_FORWARD, pool_forward)                                                                                     \
    OP(POOL_BACKWARD, pool_backward)                                                                                   \
    OP(AVERAGE_FORWARD, average_forward)                                                                               \
    OP(AVERAGE_BACKWARD, average_backward)                                                                             \
    OP(LINEAR_PACK, linear_pack)                                                                                       \
    OP(LINEAR_FORWARD, linear_forward)                                                                                 \
    OP(LINEAR_WEIGHT_GRADIENT, linear_weight_gradient)                                                                 \
    OP(LINEAR_INPUT_GRADIENT, linear_input_gradient)                                                                   \
    OP(LINEAR_SPARSE_FORWARD, linear_sparse_forward)                                                                   \
    OP(LINEAR_TILE_FORWARD, linear_tile_forward)                                                                       \
    OP(LINEAR_TILE_WEIGHT_GRADIENT, linear_tile_weight_gradient)                                                       \
    OP(LINEAR_TILE_INPUT_GRADIENT, linear_tile_input_gradient)                                                         \
    OP(ACTIVATION_FORWARD, activation_forward)                                                                         \
    OP(ACTIVATION_BACKWARD, activation_backward)                                                                       \
    OP(ADD, add)                                                                                                       \
    OP(DROPOUT, dropout)                                                                                               \
    OP(NOISE, noise)                                                                                                   \
    OP(WARP_FORWARD, warp_forward)                                                                                     \
    OP(WARP_BACKWARD, warp_backward)                                                                                   \
    OP(MORPHOLOGY_FORWARD, morphology_forward)                                                                         \
    OP(MORPHOLOGY_BACKWARD, morphology_backward)                                                                       \
    OP(ROUNDING, rounding)                                                                                             \
    OP(ERASE, erase)                                                                                                   \
    OP(NORM_MOMENTS, norm_moments)                                                                                     \
    OP(NORM_STATISTICS, norm_statistics)                                                                               \
    OP(NORM_FOLD, norm_fold)                                                                                           \
    OP(NORM_APPLY, norm_apply)                                                                                         \
    OP(NORM_GRADIENT_SUMS, norm_gradient_sums)                                                                         \
    OP(NORM_GRADIENT, norm_gradient)                                                                                   \
    OP(NORM_INPUT_GRADIENT, norm_input_gradient)                                                                       \
    OP(SOFTMAX_FORWARD, softmax_forward)                                                                               \
    OP(SOFTMAX_BACKWARD, softmax_backward)                                                                             \
    OP(LOG_SOFTMAX_FORWARD, log_softmax_forward)                                                                       \
    OP(LOG_SOFTMAX_BACKWARD, log_softmax_backward)                                                                     \
    OP(CROSS_ENTROPY, cross_entropy)                                                                                   \
    OP(LIKELIHOOD, likelihood)                                                                                         \
    OP(EXPECTED_PROBABILITY, expected_probability)                                                                     \
    OP(SQUARED_ERROR, squared_error)                                                                                   \
    OP(GRADIENT_SQUARES, gradient_squares)                                                                             \
    OP(UPDATE, update)

#define PMC_OP_NAME(NAME, name) PMC_##NAME,
typedef enum { PMC_OPERATIONS(PMC_OP_NAME) PMC_OP_KINDS } pmc_op_kind;

/* PARAM and GRADIENT belong to the model and have one layout, as have the optimizer's moments and the average beside
 * them; the others belong to the plan. */
#define PMC_ARENA_KINDS(ARENA)                                                                                         \
    ARENA(NOWHERE)                                                                                                     \
    ARENA(PARAM)                                                                                                       \
    ARENA(GRADIENT)                                                                                                    \
    ARENA(PACK)   /* derived from weights */                                                                           \
    ARENA(BATCH)  /* a place for each sample of the batch: what outlives a phase */                                    \
    ARENA(SHARD)  /* a copy for each shard: its gradients */                                                           \
    ARENA(THREAD) /* a copy for each thread: what a microbatch needs while it runs */
#define PMC_ARENA_NAME(NAME) PMC_##NAME,
typedef enum { PMC_ARENA_KINDS(PMC_ARENA_NAME) PMC_ARENAS } pmc_arena;

typedef struct {
    int64_t arena, offset; /* bytes, a multiple of PMC_ALIGN */
} pmc_ref;

enum { PMC_REFS = 9, PMC_FIELDS = 26 };

/* An operation with its tensors: `ref` in the order of its record. `layer` is what an error names. */
typedef struct {
    int64_t kind, layer;
    pmc_ref ref[PMC_REFS];
    union {
        int64_t field[PMC_FIELDS];
        pmc_conv conv;
        pmc_pool pool;
        pmc_linear linear;
        pmc_elements elements;
        pmc_sum sum;
        pmc_dropout dropout;
        pmc_noise noise;
        pmc_warp warp;
        pmc_morphology morphology;
        pmc_erasing erasing;
        pmc_norm norm;
        pmc_transfer transfer;
        pmc_image image;
        pmc_softmax softmax;
        pmc_classes classes;
        pmc_parameter parameter;
    } shape;
} pmc_op;

typedef struct {
    int64_t dtype, capacity, microbatch; /* microbatch: samples that one thread takes at a time */
    int64_t model_bytes, pack_bytes, batch_bytes, shard_bytes, thread_bytes;
    int64_t x_elements, y_elements; /* of a sample of the caller's inputs and outputs */
    int64_t ops, phases;
    int64_t pairs; /* are factors of products packed to bfloat16, two in a word? */
} pmc_plan_sizes;

PMC_INLINE int64_t pmc_real_bytes(const pmc_plan_sizes *s) { return s->dtype == PMC_FLOAT64 ? 8 : 4; }
PMC_INLINE int64_t pmc_squares_parts(const pmc_plan_sizes *s) {
    return pmc_blocks(s->model_bytes / pmc_real_bytes(s), PMC_SQUARES);
}

/* SHARD: sample by sample, each shard in turn on one thread. TILES: parts of one job over the whole batch. */
typedef enum { PMC_SCOPE_SHARD, PMC_SCOPE_TILES } pmc_scope;

/* What one of an operation's references is. */
typedef struct {
    const char *name;
    int64_t (*bytes)(const pmc_op *op, const pmc_plan_sizes *sizes); /* of one sample, or of all there is */
    unsigned flags;
} pmc_reference;

/* Flags: a bit for each arena that the reference may lie in, and: */
enum {
    PMC_EACH_SAMPLE = 1 << PMC_ARENAS, /* there is one for each sample, or else only one */
    PMC_WRITTEN = 2 << PMC_ARENAS,
    PMC_OPTIONAL = 4 << PMC_ARENAS,
    PMC_SCRATCH = 8 << PMC_ARENAS,  /* a workspace: it means nothing before and after */
    PMC_OF_PAIRS = 16 << PMC_ARENAS /* optional, but where factors are packed, two in a word */
};

typedef struct {
    pmc_scope scope;
    int is_loss;
    int by_sample; /* in TILES scope: what comes of a sample depends on it alone, so that a process computes its own */
    int (*fits)(const pmc_op *op, const pmc_plan_sizes *sizes); /* is the shape sound? */
    pmc_reference ref[PMC_REFS];
    /* In how many parts threads share it: in TILES scope its tasks; in SHARD scope NULL where it is not shared. */
    int64_t (*parts)(const pmc_op *op, int64_t n, int64_t threads);
    int64_t (*work)(const pmc_op *op, int64_t n, int64_t shards); /* about how many vector operations it takes */
} pmc_operation;

extern const pmc_operation *const pmc_operations[PMC_OP_KINDS];

/* Shards of n samples: the largest power of two <= min(PMC_SHARDS, n / 2), at least 1. */
enum { PMC_SHARDS = 16 };
int64_t pmc_shards(int64_t n);

/* A shard's first sample. The first shards are the larger ones: what begins last should not take longest. */
PMC_INLINE int64_t pmc_shard_begin(int64_t shard, int64_t shards, int64_t n) {
    const int64_t larger = n % shards;
    return shard * (n / shards) + (shard < larger ? shard : larger);
}

/* A convolution's output channels in part `part` of `parts`. */
typedef struct {
    int64_t first, last;
} pmc_channels;
PMC_INLINE pmc_channels pmc_conv_channels(const pmc_conv *s, int64_t part, int64_t parts) {
    const int64_t k = s->out.c, size = pmc_blocks(pmc_blocks(k, PMC_PAD), parts) * PMC_PAD, last = (part + 1) * size;
    const pmc_channels channels = {part * size, last < k ? last : k};
    return channels;
}

/* Of its forward pass on n pictures, a part: output channels, and rows of outputs, those of all pictures one after the
 * other. Where there are enough rows they are what is shared: then no thread prepares the pixels that another does. */
typedef struct {
    pmc_channels channels;
    int64_t first_row, last_row; /* the one behind them */
} pmc_piece;
enum { PMC_SHARED_ROWS = 4 };
PMC_INLINE pmc_piece pmc_conv_piece(const pmc_conv *s, int64_t n, int64_t part, int64_t parts) {
    const int64_t rows = n * s->out.h;
    const pmc_channels all = {0, s->out.c};
    pmc_piece piece = {all, part * rows / parts, (part + 1) * rows / parts};
    if (s->out.h >= PMC_SHARED_ROWS) return piece;
    piece.channels = pmc_conv_channels(s, part, parts);
    piece.first_row = 0;
    piece.last_row = rows;
    return piece;
}
