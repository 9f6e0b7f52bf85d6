/* pymnistcnn's C library: shapes, plans, kernels, status codes. The one shared header.
 *
 * A model becomes a plan; a plan is data; run.c runs plans; kernels only do arithmetic.
 * Nothing here knows Python. Only names that start with pmc_ leave the library. */
#ifndef PMC_H
#define PMC_H

#include <stddef.h>
#include <stdint.h>

/* What the processor and a GPU's threads compute alike. */
#ifdef __CUDACC__
#define PMC_INLINE static inline __host__ __device__
#else
#define PMC_INLINE static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The element type. kernels/table.c is compiled once with float and once with double; the plan and
 * the runner do not look at elements, so that to them a tensor is an untyped pointer. */
#ifndef PMC_REAL
#define PMC_REAL void
#endif
typedef PMC_REAL real;

enum { PMC_FLOAT32, PMC_FLOAT64, PMC_DTYPES };
#define PMC_PORTABLE 0 /* macros, since simd.h chooses by them in the preprocessor */
#define PMC_AVX2 1
#define PMC_AVX512 2
#define PMC_ISAS 3

typedef enum pmc_status {
    PMC_OK,
    PMC_BAD_SHAPE,  /* a size is zero, negative, inconsistent or overflows */
    PMC_BAD_BOUNDS, /* a reference reaches outside its arena */
    PMC_NO_MEMORY,
    PMC_MISSING,       /* a run was not given an array that its program needs */
    PMC_NOT_FINITE,    /* an update made a parameter NaN or infinite; pmc_run_args.bad_layer names it */
    PMC_DEVICE_MEMORY, /* of a device other than the processor, as: */
    PMC_DEVICE_FAILED  /* what went wrong is in pmc_device_error */
} pmc_status;

/* Everywhere: rows of weights and flat vectors are padded to a multiple of PMC_PAD elements on every
 * ISA, and sums across lanes use PMC_PAD partials, so that results do not depend on the ISA. */
enum { PMC_PAD = 16, PMC_ALIGN = 64 };

/* Under the address sanitizer, plans leave so many bytes between buffers, and touching them is an error. */
#ifdef __SANITIZE_ADDRESS__
#define PMC_GUARD 256
#else
#define PMC_GUARD 0
#endif

/* ---- shapes (all fields int64_t: Python fills them in this order) ------------------------------- */

/* One picture, channels last, with its zero border: [top + h + bottom][left + w + right][c]. */
typedef struct {
    int64_t h, w, c, top, bottom, left, right;
} pmc_image;

/* alpha: leaky ReLU's slope below 0, ELU's alpha, softplus' beta; threshold: where softplus is taken as linear. */
typedef struct {
    int64_t kind; /* PMC_IDENTITY, ... */
    double alpha, threshold;
} pmc_activation;

/* Convolution + bias + monotone activation + non-overlapping max-pool. `in` has the padding as its
 * border; `out` is what the pool leaves, out.c output channels.
 *   w     [k][kh][kw * c/groups, padded to 16]                   the master, what the gradient produces
 *   panel [groups][kh][kw][c/groups][k/groups, padded to 16]     derived, what the forward pass reads
 * or, where every channel is a group of its own, panel [kh][kw][k, padded to 16], or, by Winograd's method,
 * [k / 32][side * side][c * 32 + 16]. */
typedef struct {
    pmc_image in, out;
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w, groups, pool_h, pool_w;
    pmc_activation activation;
} pmc_conv;

/* Pooling of its own: any stride, padding and dilation; windows may reach over the end (ceil mode). The argmax
 * of a window that sees nothing but padding is -1. count_pad: an average counts the zeros of the padding, too. */
typedef struct {
    pmc_image in, out;
    int64_t kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, count_pad;
} pmc_pool;

/* in -> out features. The master of a small layer is [out][in, padded], that of a large one [in][out, padded].
 * sparse: x may be mostly zeros, as pictures are; gradient_only: a weight gradient whose update comes later. */
typedef struct {
    int64_t in, out, sparse, gradient_only;
} pmc_linear;

/* An activation of its own, on the inside of an image. */
typedef struct {
    pmc_image image;
    pmc_activation activation;
} pmc_elements;

/* keep an element when its 32 random bits are at least `threshold`; survivors are multiplied by `scale`. */
typedef struct {
    pmc_image image;
    int64_t threshold, stream;
    double scale;
} pmc_dropout;

/* An array of the caller's, [n][c][h][w] without borders, and the image it fills or is filled from. */
typedef struct {
    pmc_image image;
    int64_t port;
    double scale, offset;
} pmc_transfer;

/* x + std * normal numbers of the stream */
typedef struct {
    pmc_image image;
    int64_t stream;
    double std;
} pmc_noise;

/* Random affine map about the centre, elastic distortion and cutout; each number is the most of it. Angles in
 * radians, shift and elastic in pixels, sigma in pixels, cutout the side of a square in pixels. */
typedef struct {
    pmc_image image;
    int64_t stream, cutout;
    double rotation, shift, scale, shear, elastic, sigma, fill;
} pmc_warp;

/* Batch norm of an image's channels. momentum < 0: the average of all steps. */
typedef struct {
    pmc_image image;
    double epsilon, momentum;
} pmc_norm;

typedef struct {
    int64_t classes;
    double smoothing; /* label smoothing, of a loss */
} pmc_classes;

/* A parameter as rows of `length` elements. gradient_only: its update comes later. Of PMC_GRADIENT_SQUARES: a row is a
 * task. */
typedef struct {
    int64_t rows, length, gradient_only;
} pmc_rows;

enum { PMC_IDENTITY, PMC_RELU, PMC_TANH, PMC_LEAKY_RELU, PMC_ELU, PMC_SIGMOID, PMC_SOFTPLUS, PMC_ACTIVATIONS };

/* In an argmax: no gradient flows (ReLU was off). Windows therefore have at most 255 positions. */
enum { PMC_DEAD = 255 };

PMC_INLINE int64_t pmc_padded(int64_t n) { return (n + PMC_PAD - 1) / PMC_PAD * PMC_PAD; }
PMC_INLINE int64_t pmc_image_rows(const pmc_image *s) { return s->top + s->h + s->bottom; }
PMC_INLINE int64_t pmc_image_pitch(const pmc_image *s) { return (s->left + s->w + s->right) * s->c; }

/* Elements from one sample to the next. At least 16 elements of slack follow the picture, since vector
 * loads may read past the end of a row; producers write zeros there and on the border. */
PMC_INLINE int64_t pmc_image_stride(const pmc_image *s) {
    return pmc_padded(pmc_image_rows(s) * pmc_image_pitch(s) + PMC_PAD);
}
/* Bytes from one sample's argmax to the next, with slack for vector loads. */
PMC_INLINE int64_t pmc_argmax_stride(const pmc_image *s) {
    return (s->h * s->w * s->c + PMC_PAD + PMC_ALIGN - 1) / PMC_ALIGN * PMC_ALIGN;
}
/* Flat vectors follow the same rule as a 1 x 1 picture. */
PMC_INLINE int64_t pmc_vector_stride(int64_t n) { return pmc_padded(n + PMC_PAD); }

/* Elements of one filter row in the master: kw * c/groups, padded. */
PMC_INLINE int64_t pmc_filter_row(const pmc_conv *s) { return pmc_padded(s->kw * (s->in.c / s->groups)); }

/* The last output channels, where they are too few for a vector: they are computed as dot products. */
PMC_INLINE int64_t pmc_conv_dots(const pmc_conv *s) {
    const int64_t few = s->out.c % PMC_PAD;
    return few <= 4 && s->groups == 1 && s->dilation_w == 1 && s->kw * s->in.c >= 2 * PMC_PAD ? few : 0;
}

/* Of the elastic distortion's blur, in pixels. */
PMC_INLINE int64_t pmc_warp_radius(const pmc_warp *s) { return s->elastic != 0 ? (int64_t)(3 * s->sigma) + 1 : 0; }

/* A sample's places, a raw and a smooth field, the taps of the blur, and what it reads with its border of zeros. */
PMC_INLINE int64_t pmc_warp_field_elements(const pmc_warp *s) {
    const int64_t h = s->image.h, w = s->image.w, radius = pmc_warp_radius(s);
    return s->elastic != 0 ? 4 * h * w + radius + 1 + (h + 2 * radius) * (w + 2 * radius) : 2 * h * w;
}

/* Is every channel a group of its own? */
PMC_INLINE int pmc_conv_depthwise(const pmc_conv *s) {
    return s->groups > 1 && s->groups == s->in.c && s->groups == s->out.c;
}

/* Is it computed by Winograd's method? Then the pixels on a side of a pool window's patch, 4 or 6; otherwise 0. */
PMC_INLINE int64_t pmc_conv_winograd(const pmc_conv *s) {
    const int apart = s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 && s->dilation_w == 1;
    const int fits = s->kh == s->kw && (s->kh == 3 || s->kh == 5) && s->pool_h == 2 && s->pool_w == 2;
    return apart && fits && s->groups == 1 && s->in.c >= PMC_PAD ? s->kh + 1 : 0;
}

/* ---- optimizers --------------------------------------------------------------------------------- */

/* One step's coefficients, computed in Python; a row of doubles so that Python fills it as an array. */
typedef struct {
    double rate, shrink, weight_decay; /* shrink: what decoupled decay leaves of a weight; the other decay is L2 */
    double momentum, nesterov, first;  /* first: 1 at the very first step (the buffer starts) */
    double beta1, beta2, epsilon, correction1, correction2; /* Adam: corrections are 1 - beta**t; RMSprop: beta2 */
    double inside, centered;                                /* RMSprop: epsilon under the root; less the mean */
    double clip_norm;                                       /* gradients are scaled to at most this norm */
    double average;                                         /* decay of the weights' moving average */
} pmc_coefficients;

enum { PMC_GRADIENT_ONLY, PMC_SGD, PMC_ADAM, PMC_RMSPROP, PMC_ADAGRAD, PMC_OPTIMIZERS };
enum { PMC_MOMENTS = 3 };

/* ---- kernels ------------------------------------------------------------------------------------ */

/* What a random stream of one sample depends on, and nothing else (Philox4x32-10). */
typedef struct {
    uint64_t seed;
    uint32_t epoch;
    uint32_t position; /* of the first sample, in the epoch's order */
} pmc_random;

/* What a loss compares outputs with: labels [.] or targets [.][classes], with weights of samples [.] and of
 * classes [classes], or NULL. Sample i of a kernel's n is at index[i], or at i where index is NULL. */
typedef struct {
    const int32_t *labels;
    const real *targets;
    const double *sample_weight, *class_weight;
    const int64_t *index;
    double scale; /* of the gradient: one over the step's weight */
} pmc_targets;

/* One ISA and dtype. Every kernel works on n samples on one thread; outputs, inputs, shape, workspace.
 * `opening`: store the gradients instead of adding to them. */
typedef struct {
    /* input.h: image <- [n_total][c][h][w] at index[i], or at i where index is NULL */
    void (*input_u8)(real *x, const uint8_t *array, const int64_t *index, const pmc_transfer *s, int64_t n);
    void (*input_real)(real *x, const real *array, const int64_t *index, const pmc_transfer *s, int64_t n);
    void (*output_real)(real *array, const real *x, const pmc_transfer *s, int64_t n);
    void (*flatten_forward)(real *y, const real *x, const pmc_image *s, int64_t n);
    void (*flatten_backward)(real *dx, const real *dy, const pmc_image *s, int64_t n);

    /* conv.h: y image `out`, argmax [oh][ow][k] (may be NULL), x image `in`; output channels first to last - 1;
     * workspaces below */
    void (*conv_pack)(real *panel, const real *w, const real *scale, const pmc_conv *s, int64_t task);
    void (*conv_forward)(real *y, uint8_t *argmax, const real *x, const real *panel, const real *b, const pmc_conv *s,
                         int64_t n, int64_t first, int64_t last, real *rows);
    void (*conv_weight_gradient)(real *dw, real *db, const real *dy, const uint8_t *argmax, const real *x,
                                 const pmc_conv *s, int64_t n, int opening, int64_t first, int64_t last, void *events);
    void (*conv_input_gradient)(real *dx, const real *dy, const uint8_t *argmax, const real *w, const pmc_conv *s,
                                int64_t n, void *events);

    /* pool.h: y image `out`, argmax int32 [oh][ow][c], the element's offset in x */
    void (*pool_forward)(real *y, int32_t *argmax, const real *x, const pmc_pool *s, int64_t n);
    void (*pool_backward)(real *dx, const real *dy, const int32_t *argmax, const pmc_pool *s, int64_t n);
    void (*average_forward)(real *y, const real *x, const pmc_pool *s, int64_t n);
    void (*average_backward)(real *dx, const real *dy, const pmc_pool *s, int64_t n);

    /* linear.h, SHARD scope: w [out][in, padded], x and y flat vectors */
    void (*linear_forward)(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n);
    void (*linear_weight_gradient)(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s, int64_t n,
                                   int opening);
    void (*linear_input_gradient)(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n);

    /* linear_sparse.h, SHARD scope: w [in][out, padded] */
    void (*linear_sparse_forward)(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n);

    /* linear.h, TILES scope: w [in][out, padded]; `task` is one tile of the product over all n samples */
    void (*linear_tile_forward)(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                int64_t task);
    void (*linear_tile_weight_gradient)(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s,
                                        int64_t n, int64_t task);
    void (*linear_tile_input_gradient)(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n,
                                       int64_t task, real *panel);

    /* activation.h: y may be x; gradients in place, dy <- dy * f'(.), from the activation's output y */
    void (*activation_forward)(real *y, const real *x, const pmc_elements *s, int64_t n);
    void (*activation_backward)(real *dy, const real *y, const pmc_elements *s, int64_t n);
    void (*dropout)(real *y, const real *x, const pmc_dropout *s, int64_t n, pmc_random random);

    /* augment.h: sample i is picture index[i] of the data set, or random.position + i where index is NULL;
     * field: a workspace; gradients come back along the same random map */
    void (*noise)(real *y, const real *x, const pmc_noise *s, int64_t n, pmc_random random, const int64_t *index);
    void (*warp_forward)(real *y, const real *x, const pmc_warp *s, int64_t n, pmc_random random, const int64_t *index,
                         real *field);
    void (*warp_backward)(real *dx, const real *dy, const pmc_warp *s, int64_t n, pmc_random random,
                          const int64_t *index, real *field);

    /* norm.h: moments, sums [n][2][c, padded] of each sample; statistics [PMC_NORM_ROWS][c, padded]; the rows of
     * running are mean, variance (both [c, padded]) and the count of steps [1, padded] */
    void (*norm_moments)(real *moments, const real *x, const pmc_norm *s, int64_t n);
    void (*norm_statistics)(real *statistics, const real *moments, const real *w, const real *b, real *running,
                            const pmc_norm *s, int64_t n);
    void (*norm_fold)(real *statistics, const real *w, const real *b, const real *running, const real *conv_bias,
                      const pmc_norm *s);
    void (*norm_apply)(real *y, const real *x, const real *statistics, const pmc_norm *s, int64_t n);
    void (*norm_gradient_sums)(real *sums, const real *dy, const real *x, const real *statistics, const pmc_norm *s,
                               int64_t n);
    void (*norm_gradient)(real *means, real *dw, real *db, const real *sums, const pmc_norm *s, int64_t n);
    void (*norm_input_gradient)(real *dx, const real *dy, const real *x, const real *statistics, const real *means,
                                const pmc_norm *s, int64_t n);

    /* loss.h: flat vectors; y may be x, but not of log_softmax_forward; softmax's gradients are in place */
    void (*softmax_forward)(real *y, const real *x, const pmc_classes *s, int64_t n);
    void (*softmax_backward)(real *dy, const real *y, const pmc_classes *s, int64_t n);
    void (*log_softmax_forward)(real *y, const real *x, const pmc_classes *s, int64_t n);
    void (*log_softmax_backward)(real *dy, const real *y, const pmc_classes *s, int64_t n);
    /* loss and correct one a sample */
    void (*cross_entropy)(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                          const pmc_classes *s, int64_t n);
    void (*likelihood)(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                       const pmc_classes *s, int64_t n);
    void (*expected_probability)(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                                 const pmc_classes *s, int64_t n);
    void (*squared_error)(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                          const pmc_classes *s, int64_t n);

    /* optimizer.h, `count` elements, a multiple of 16; the updates return 1 if all stayed finite */
    void (*reduce)(real *g, const real *shards, int64_t shard_stride, int64_t shards_used, int64_t count);
    double (*sum_of_squares)(const real *g, int64_t count);
    void (*average)(real *mean, const real *w, double decay, int64_t count);
    int (*update[PMC_OPTIMIZERS])(real *w, real *const moment[PMC_MOMENTS], const real *g, const pmc_coefficients *c,
                                  double clip, int64_t count);

    /* peak.h: `repeats` x 2 x lanes x chains flops of independent FMAs; returns the flops done */
    double (*fma_peak)(real *sink, int64_t repeats);
} pmc_kernels;

/* The table, or NULL where this build or this CPU (and its OS) lacks the ISA. */
const pmc_kernels *pmc_kernels_for(int isa, int dtype);
int pmc_isa_usable(int isa);
const char *pmc_isa_name(int isa);

/* Workspaces, in elements or bytes, of the kernels above that take one. */
int64_t pmc_conv_rows_elements(const pmc_conv *s);
int64_t pmc_conv_events_bytes(const pmc_conv *s, int64_t n);
int64_t pmc_linear_panel_elements(const pmc_linear *s);
int64_t pmc_conv_panel_elements(const pmc_conv *s);
int64_t pmc_conv_pack_tasks(const pmc_conv *s);
enum { PMC_NORM_MEAN, PMC_NORM_INVERSE, PMC_NORM_SCALE, PMC_NORM_BIAS, PMC_NORM_SHIFT, PMC_NORM_ROWS };
enum { PMC_EVENTS = 96 }; /* cells that a weight gradient makes lists of at a time: their x is in L1 */
enum { PMC_WINOGRAD_TILES = 28, PMC_WINOGRAD_COLUMNS = 32 }; /* of a block */
enum { PMC_UPDATED = 4096, PMC_SQUARES = 8192 }; /* elements of a task that updates, and that adds up squares */
int64_t pmc_squares_tasks(int64_t model_elements);
enum { PMC_TILE_ROWS = 84, PMC_TILE_COLUMNS = 32, PMC_TILE_BAND = 28 };
/* Columns of a forward tile: a few samples read the weights once, and read longer pieces of their rows. */
PMC_INLINE int64_t pmc_tile_columns(int64_t n) { return n <= 6 ? 2 * PMC_TILE_COLUMNS : PMC_TILE_COLUMNS; }

/* ---- plans -------------------------------------------------------------------------------------- */

typedef enum pmc_op_kind {
    PMC_INPUT, /* SHARD scope: sample by sample */
    PMC_OUTPUT,
    PMC_FLATTEN_FORWARD,
    PMC_FLATTEN_BACKWARD,
    PMC_CONV_FORWARD,
    PMC_CONV_WEIGHT_GRADIENT,
    PMC_CONV_INPUT_GRADIENT,
    PMC_POOL_FORWARD,
    PMC_POOL_BACKWARD,
    PMC_AVERAGE_FORWARD,
    PMC_AVERAGE_BACKWARD,
    PMC_LINEAR_FORWARD,
    PMC_LINEAR_WEIGHT_GRADIENT,
    PMC_LINEAR_INPUT_GRADIENT,
    PMC_LINEAR_SPARSE_FORWARD, /* of a large layer */
    PMC_ACTIVATION_FORWARD,
    PMC_ACTIVATION_BACKWARD,
    PMC_DROPOUT,
    PMC_NOISE,
    PMC_WARP_FORWARD,
    PMC_WARP_BACKWARD,
    PMC_NORM_MOMENTS,
    PMC_NORM_APPLY,
    PMC_NORM_GRADIENT_SUMS,
    PMC_NORM_INPUT_GRADIENT,
    PMC_SOFTMAX_FORWARD,
    PMC_SOFTMAX_BACKWARD,
    PMC_LOG_SOFTMAX_FORWARD,
    PMC_LOG_SOFTMAX_BACKWARD,
    PMC_CROSS_ENTROPY,
    PMC_LIKELIHOOD,
    PMC_EXPECTED_PROBABILITY,
    PMC_SQUARED_ERROR,
    PMC_LINEAR_TILE_FORWARD, /* TILES scope: pieces of one job over the whole batch */
    PMC_LINEAR_TILE_WEIGHT_GRADIENT,
    PMC_LINEAR_TILE_INPUT_GRADIENT,
    PMC_NORM_STATISTICS,
    PMC_NORM_GRADIENT,
    PMC_UPDATE,
    PMC_GRADIENT_SQUARES,
    PMC_NORM_FOLD,
    PMC_CONV_PACK,
    PMC_OP_KINDS
} pmc_op_kind;

/* PARAM belongs to the model, with vectors of the same layout beside it (gradient, moments, average); the others
 * belong to the plan. */
typedef enum pmc_arena {
    PMC_NOWHERE,
    PMC_PARAM,
    PMC_PACK,   /* derived weight layouts */
    PMC_BATCH,  /* one slot a sample of the batch: what outlives a phase */
    PMC_SHARD,  /* one copy a shard: its gradients */
    PMC_THREAD, /* one copy a thread: what a group of samples needs while it runs */
    PMC_ARENAS
} pmc_arena;

typedef enum pmc_port { PMC_PORT_X, PMC_PORT_Y, PMC_PORT_DY, PMC_PORT_DX, PMC_PORTS } pmc_port;

typedef struct {
    int64_t arena, offset; /* bytes, a multiple of PMC_ALIGN */
} pmc_ref;

enum { PMC_REFS = 6, PMC_FIELDS = 26 };

/* `ref`: the kernel's tensors and workspaces, in its order, but for updates, whose gradient and moments lie
 * where the parameter lies in the arenas beside it:
 *   PMC_LINEAR_TILE_WEIGHT_GRADIENT {w, b, dy, x}    PMC_NORM_GRADIENT {means, w, b, sums}
 *   PMC_UPDATE {w, the shards' gradient (nowhere: it has been reduced), squares of all gradients (nowhere: no
 *   clipping)}
 * `layer` is what an error names. */
typedef struct {
    int64_t kind, layer;
    pmc_ref ref[PMC_REFS];
    union {
        int64_t field[PMC_FIELDS];
        pmc_conv conv;
        pmc_pool pool;
        pmc_linear linear;
        pmc_elements elements;
        pmc_dropout dropout;
        pmc_noise noise;
        pmc_warp warp;
        pmc_norm norm;
        pmc_transfer transfer;
        pmc_image image;
        pmc_classes classes;
        pmc_rows rows;
    } shape;
} pmc_op;

/* What a reference holds: bytes from sample to sample, or 0 and the bytes of what there is one of. */
typedef struct {
    int64_t sample, whole;
} pmc_extent;

enum { PMC_SCOPE_SHARD, PMC_SCOPE_TILES };

/* Consecutive ops of one scope: between two phases all threads meet. */
typedef struct {
    int64_t scope, first_op, ops;
} pmc_phase;

/* Consecutive phases. What a plan can do: each is run from its first phase to its last. */
typedef enum pmc_program_kind {
    PMC_PREPARE, /* derive PACK from PARAM; runs before any of the others */
    PMC_TRAIN,
    PMC_EVALUATE,
    PMC_PREDICT,
    PMC_FORWARD,
    PMC_BACKWARD,
    PMC_PROGRAMS
} pmc_program_kind;

typedef struct {
    int64_t first_phase, phases;
} pmc_program;

typedef struct {
    int64_t dtype, capacity, group; /* group: samples that one thread takes at a time */
    int64_t model_bytes, pack_bytes, batch_bytes, shard_bytes, thread_bytes;
    int64_t x_elements, y_elements; /* of a sample of the caller's inputs and outputs */
    int64_t ops, phases;
} pmc_plan_sizes;

typedef struct pmc_plan pmc_plan;
typedef struct pmc_device pmc_device; /* cuda/device.h: other than the processor */

/* Checks every shape and reference; copies all; allocates PACK, BATCH and SHARD, on the processor where the device is
 * NULL. A device takes a plan whose group is its capacity. On failure *bad_op is the op at fault, or -1. */
pmc_status pmc_plan_new(pmc_plan **plan, const pmc_plan_sizes *sizes, const pmc_op *ops, const pmc_phase *phases,
                        const pmc_program programs[PMC_PROGRAMS], const pmc_device *device, int64_t *bad_op);
void pmc_plan_free(pmc_plan *plan);

/* Makes room for the THREAD arenas of so many threads. */
pmc_status pmc_plan_threads(pmc_plan *plan, int64_t threads);

/* Fill the plan's own arenas with one byte: results must not depend on it (tests). */
pmc_status pmc_plan_poison(pmc_plan *plan, int byte);

/* A copy of some bytes of the BATCH arena, which are there. */
pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes);

/* Shards of n samples: the largest power of two <= min(16, n / 2), at least 1. */
int64_t pmc_shards(int64_t n);

/* A shard's first sample. The first shards are the larger ones: what begins last should not take longest. */
PMC_INLINE int64_t pmc_shard_begin(int64_t shard, int64_t shards, int64_t n) {
    const int64_t larger = n % shards;
    return shard * (n / shards) + (shard < larger ? shard : larger);
}

/* ---- runs --------------------------------------------------------------------------------------- */

/* A copy, on a device, of an array that several runs read. */
typedef struct {
    const void *host;
    void *memory;
    int64_t bytes;
    const pmc_device *device;
} pmc_resident;

typedef struct {
    const pmc_kernels *kernels; /* and threads: of the processor */
    int64_t threads;
    void *param, *gradient;    /* model_bytes each, as are: */
    void *moment[PMC_MOMENTS]; /* NULL where the optimizer does not use one */
    void *average;             /* of the weights, or NULL */
    int64_t count, batch;      /* samples in all, and a step */
    int64_t items;             /* pictures, labels and so on that there are: count, or what `index` is of */
    const int64_t *index;      /* [count] or NULL: 0, 1, 2, ... */
    const uint8_t *x_u8;       /* the pictures, in one of the two */
    const void *x_real;
    const int32_t *labels;                /* like the pictures, or NULL */
    const void *targets;                  /* [classes] each, like the pictures, or NULL */
    const double *sample_weight;          /* like the pictures, or NULL */
    const double *class_weight;           /* [classes], or NULL */
    void *y;                              /* [count] outputs, or NULL */
    const void *dy;                       /* [count] gradients of the outputs, or NULL */
    void *dx;                             /* [count], or NULL */
    int64_t optimizer;                    /* PMC_GRADIENT_ONLY, ... */
    const pmc_coefficients *coefficients; /* a step each */
    uint64_t seed;
    uint32_t epoch, first_position;
    const pmc_resident *const *resident; /* of a device: what need not be brought for this run */
    int64_t residents;
    double *op_seconds; /* out, [threads][ops], added to: a profile; or NULL */
    double *loss;       /* out, a step each: sum over the step's samples */
    double *weight;     /* out, a step each: what a mean loss is divided by */
    int64_t *correct;   /* out, a step each */
    int64_t done;       /* out: steps that were finished */
    int64_t bad_layer;  /* out, with PMC_NOT_FINITE */
} pmc_run_args;

/* Runs PREPARE, then `program` once for every step of `batch` samples (the last may be partial). */
pmc_status pmc_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args);

/* What the mean loss of a step is divided by: its samples, or their weights and those of their classes. */
double pmc_step_weight(const pmc_run_args *args, int64_t start, int64_t n);

/* ---- devices other than the processor --------------------------------------------------------------- */

/* "cuda" or "emulated", perhaps with "-tf32" or "-bf16" behind it; NULL where this build has no such device. */
const pmc_device *pmc_device_named(const char *name);
/* Why it cannot be used on this machine; NULL: it can. What went wrong last, in this thread. */
const char *pmc_device_problem(const pmc_device *device);
const char *pmc_device_error(const pmc_device *device);
int pmc_device_rounds(const pmc_device *device); /* factors of products, to TF32 or bfloat16? */
const char *pmc_device_twin(const pmc_device *device, int64_t dtype, int64_t kind); /* the name of an op kind's */
const char *pmc_cuda_architectures(void); /* that this build has code for; NULL: it is without CUDA */
void pmc_cuda_describe(char *text, size_t size);

/* What a plan has on a device, and its runs (cuda/run.c). */
typedef struct pmc_on_device pmc_on_device;
pmc_status pmc_on_device_new(pmc_on_device **on, const pmc_plan_sizes *sizes, const pmc_device *device);
void pmc_on_device_free(pmc_on_device *on);
pmc_status pmc_on_device_fill(pmc_on_device *on, const pmc_plan_sizes *sizes, int byte);
pmc_status pmc_on_device_peek(pmc_on_device *on, void *to, int64_t offset, int64_t bytes);
pmc_status pmc_run_on_device(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args);
pmc_status pmc_resident_new(pmc_resident *resident, const pmc_device *device, const void *host, int64_t bytes);
void pmc_resident_free(pmc_resident *resident);

/* ---- threads ------------------------------------------------------------------------------------ */

typedef void (*pmc_task)(void *context, int64_t task, int64_t thread);

/* Threads that stand ready while a body runs: at most so many, and none after a fork (then the team is NULL). */
typedef struct pmc_team pmc_team;
void pmc_with_threads(int64_t threads, void (*body)(void *context, pmc_team *team), void *context);

/* Every task once, in any order, on the team's threads; inline without a team. */
void pmc_parallel_for(pmc_team *team, int64_t tasks, pmc_task task, void *context);
int64_t pmc_default_threads(void);
const char *pmc_openmp_runtime(void);

/* Philox4x32-10, for tests: out[4] from counter[4] and key[2]. */
void pmc_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

struct pmc_plan {
    pmc_plan_sizes sizes;
    pmc_op *ops;
    pmc_extent (*extents)[PMC_REFS]; /* of each op's references */
    pmc_phase *phases;
    pmc_program programs[PMC_PROGRAMS];
    pmc_on_device *on_device; /* or, on the processor: */
    char *pack, *batch, *shard, *thread;
    int64_t threads; /* copies of the thread arena */
    double *loss;    /* [capacity] */
    uint8_t *correct;
};

#ifdef __cplusplus
}
#endif

#endif
