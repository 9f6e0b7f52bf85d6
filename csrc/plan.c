/* A plan is checked here, once: every shape, every size and every reference. Runs then trust it. */
#include "pmc.h"

#include <stdlib.h>
#include <string.h>

enum { SHARDS_MAX = 16, SLACK = 4 * PMC_ALIGN, EVENT_BYTES = 16 };

int64_t pmc_shards(int64_t n) {
    int64_t shards = 1;
    while (shards < SHARDS_MAX && 2 * shards <= n / 2) shards *= 2;
    return shards;
}

/* ---- sizes of what kernels use besides their tensors ---- */

int64_t pmc_conv_panel_elements(const pmc_conv *s) {
    const int64_t side = pmc_conv_winograd(s);
    const int64_t blocks = (s->out.c + PMC_WINOGRAD_COLUMNS - 1) / PMC_WINOGRAD_COLUMNS;
    if (side) return blocks * side * side * (s->in.c * PMC_WINOGRAD_COLUMNS + PMC_PAD);
    if (pmc_conv_depthwise(s)) return s->kh * s->kw * pmc_padded(s->out.c);
    return s->groups * s->kh * s->kw * (s->in.c / s->groups) * pmc_padded(s->out.c / s->groups);
}
int64_t pmc_conv_pack_tasks(const pmc_conv *s) {
    if (pmc_conv_depthwise(s)) return pmc_padded(s->out.c) / PMC_PAD;
    return s->groups * (pmc_padded(s->out.c / s->groups) / PMC_PAD);
}
int64_t pmc_conv_rows_elements(const pmc_conv *s) {
    const int64_t side = pmc_conv_winograd(s);
    if (side) return side * side * (PMC_WINOGRAD_TILES * (pmc_padded(s->in.c) + PMC_WINOGRAD_COLUMNS) + PMC_PAD);
    return s->pool_h * s->pool_w * s->out.w * (pmc_padded(s->out.c) + PMC_PAD) + PMC_PAD;
}
/* Three offsets a cell and the events of a vector of output channels, or the cells of n samples that see something; one
 * cell's events over positions and channels; or, where every channel is a group of its own, a panel. */
int64_t pmc_conv_events_bytes(const pmc_conv *s, int64_t n) {
    const int64_t gradient_of_w = 9 * PMC_EVENTS + 9 * PMC_PAD + n * s->out.h;
    const int64_t gradient_of_x = s->pool_h * s->pool_w * pmc_padded(s->out.c) + PMC_PAD;
    if (pmc_conv_depthwise(s)) return EVENT_BYTES * pmc_conv_panel_elements(s);
    return EVENT_BYTES * (gradient_of_w > gradient_of_x ? gradient_of_w : gradient_of_x);
}
int64_t pmc_linear_panel_elements(const pmc_linear *s) { return s->out * PMC_TILE_COLUMNS; }

/* ---- shapes ---- */

static int between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

/* Offsets inside a tensor are int32 in places: nothing may be larger. The product is checked as it grows. */
static int product_fits(const int64_t *factors, int count) {
    int64_t product = 1;
    for (int i = 0; i < count; i++)
        if (!between(factors[i], 0, INT32_MAX) || __builtin_mul_overflow(product, factors[i], &product) ||
            product > INT32_MAX / 2)
            return 0;
    return 1;
}
#define FITS(...) product_fits((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int vector_fits(int64_t n) { return between(n, 1, INT32_MAX / 4); }

static int image_fits(const pmc_image *s) {
    const int64_t sizes[] = {s->h, s->w, s->c, s->top + 1, s->bottom + 1, s->left + 1, s->right + 1};
    for (int i = 0; i < 7; i++)
        if (!between(sizes[i], 1, INT32_MAX / 4)) return 0;
    return FITS(pmc_image_rows(s), s->left + s->w + s->right, s->c);
}

/* Are `out` outputs what a window of `size` taps finds in `in` positions? */
static int window_fits(int64_t in, int64_t out, int64_t size, int64_t stride, int64_t dilation) {
    return between(size, 1, in) && between(stride, 1, INT32_MAX / 4) && between(dilation, 1, INT32_MAX / 4) &&
           FITS(out, stride) && FITS(size, dilation) && (out - 1) * stride + (size - 1) * dilation < in;
}

static int activation_fits(const pmc_activation *f) {
    return between(f->kind, PMC_IDENTITY, PMC_ACTIVATIONS - 1) && f->alpha >= 0;
}

static int conv_fits(const pmc_conv *s, int64_t group) {
    return image_fits(&s->in) && image_fits(&s->out) && between(s->groups, 1, s->in.c) && s->in.c % s->groups == 0 &&
           s->out.c % s->groups == 0 && activation_fits(&s->activation) && between(s->pool_h, 1, PMC_DEAD) &&
           between(s->pool_w, 1, PMC_DEAD) && s->pool_h * s->pool_w <= PMC_DEAD &&
           window_fits(pmc_image_rows(&s->in), s->out.h * s->pool_h, s->kh, s->stride_h, s->dilation_h) &&
           window_fits(s->in.left + s->in.w + s->in.right, s->out.w * s->pool_w, s->kw, s->stride_w, s->dilation_w) &&
           FITS(s->kw, s->in.c) && FITS(s->out.c + PMC_PAD, s->kh, pmc_filter_row(s)) &&
           FITS(s->groups, s->kh, s->kw, s->in.c / s->groups, pmc_padded(s->out.c / s->groups)) &&
           FITS(group, pmc_image_stride(&s->in)) && FITS(group, pmc_image_stride(&s->out)) &&
           FITS(s->pool_h * s->pool_w + 1, s->out.w, s->out.c + 2 * PMC_PAD, EVENT_BYTES);
}

/* Does every window begin at or before the last pixel? It may reach over the end. */
static int pool_axis_fits(int64_t in, int64_t out, int64_t size, int64_t stride, int64_t pad, int64_t dilation) {
    return between(size, 1, INT32_MAX / 4) && between(stride, 1, INT32_MAX / 4) &&
           between(dilation, 1, INT32_MAX / 4) && FITS(size, dilation) && FITS(out, stride) &&
           between(pad, 0, size / 2) && (out - 1) * stride - pad < in;
}

static int pool_fits(const pmc_pool *s) {
    return image_fits(&s->in) && image_fits(&s->out) && s->in.c == s->out.c && between(s->count_pad, 0, 1) &&
           pool_axis_fits(s->in.h, s->out.h, s->kh, s->stride_h, s->pad_h, s->dilation_h) &&
           pool_axis_fits(s->in.w, s->out.w, s->kw, s->stride_w, s->pad_w, s->dilation_w);
}

/* Angles stay under a half turn (a lean under a quarter), and a picture is not scaled to nothing. */
static int warp_fits(const pmc_warp *s) {
    const double size = s->shift + s->elastic;
    return image_fits(&s->image) && between(s->cutout, 0, INT32_MAX / 4) && s->rotation >= 0 && s->rotation <= 3.2 &&
           s->shear >= 0 && s->shear <= 1.5 && s->scale >= 0 && s->scale < 1 && s->shift >= 0 && s->elastic >= 0 &&
           size <= 1e6 && (s->elastic == 0 || (s->sigma > 0 && s->sigma <= 1000)) &&
           FITS(4, s->image.h + 2 * pmc_warp_radius(s), s->image.w + 2 * pmc_warp_radius(s), 8);
}

static int norm_fits(const pmc_norm *s) {
    return image_fits(&s->image) && FITS(PMC_NORM_ROWS, pmc_padded(s->image.c), 8) && s->epsilon >= 0;
}

static int linear_fits(const pmc_linear *s) {
    return vector_fits(s->in) && vector_fits(s->out) && FITS(pmc_padded(s->in), pmc_padded(s->out)) &&
           between(s->sparse, 0, 1) && between(s->gradient_only, 0, 1);
}

/* ---- references ---- */

static int norm_extents(pmc_extent e[PMC_REFS], const pmc_op *op, int64_t r) {
    const pmc_norm *s = &op->shape.norm;
    if (!norm_fits(s)) return 0;
    const int64_t row = pmc_padded(s->image.c) * r, image = pmc_image_stride(&s->image) * r, both = 2 * row;
    const int64_t statistics = PMC_NORM_ROWS * row, running = both + PMC_PAD * r;
    switch ((pmc_op_kind)op->kind) {
    case PMC_NORM_MOMENTS: e[0].sample = both, e[1].sample = image; break;
    case PMC_NORM_APPLY: e[0].sample = e[1].sample = image, e[2].whole = statistics; break;
    case PMC_NORM_GRADIENT_SUMS: e[0].sample = both, e[1].sample = e[2].sample = image, e[3].whole = statistics; break;
    case PMC_NORM_INPUT_GRADIENT:
        e[0].sample = e[1].sample = e[2].sample = image, e[3].whole = statistics, e[4].whole = both;
        break;
    case PMC_NORM_STATISTICS:
        e[0].whole = statistics, e[1].sample = both, e[2].whole = e[3].whole = row, e[4].whole = running;
        break;
    case PMC_NORM_GRADIENT: e[0].whole = both, e[1].whole = e[2].whole = row, e[3].sample = both; break;
    case PMC_NORM_FOLD:
        e[0].whole = statistics, e[1].whole = e[2].whole = row, e[3].whole = running, e[4].whole = row;
        break;
    default: return 0;
    }
    return 1;
}

int64_t pmc_squares_tasks(int64_t model_elements) { return (model_elements + PMC_SQUARES - 1) / PMC_SQUARES; }
static int64_t squares_tasks(const pmc_plan_sizes *sizes) {
    return pmc_squares_tasks(sizes->model_bytes / (sizes->dtype == PMC_FLOAT64 ? 8 : 4));
}
static int64_t squares_bytes(const pmc_plan_sizes *sizes) { return squares_tasks(sizes) * (int64_t)sizeof(double); }

/* What each reference of an op must hold; 0 if the shape is bad. */
static int op_extents(pmc_extent e[PMC_REFS], const pmc_op *op, const pmc_plan_sizes *sizes) {
    const int64_t r = sizes->dtype == PMC_FLOAT64 ? 8 : 4, group = sizes->group;
    const pmc_conv *conv = &op->shape.conv;
    const pmc_pool *pool = &op->shape.pool;
    const pmc_linear *linear = &op->shape.linear;
    const pmc_rows *rows = &op->shape.rows;
    memset(e, 0, PMC_REFS * sizeof *e);
    switch ((pmc_op_kind)op->kind) {
    case PMC_INPUT:
    case PMC_OUTPUT: {
        const pmc_image *s = &op->shape.transfer.image;
        const int64_t port = op->shape.transfer.port, backward = port == PMC_PORT_DY || port == PMC_PORT_DX;
        const int64_t of_x = port == PMC_PORT_X || port == PMC_PORT_DX;
        if (!image_fits(s) || port != (op->kind == PMC_INPUT ? (backward ? PMC_PORT_DY : PMC_PORT_X)
                                                             : (backward ? PMC_PORT_DX : PMC_PORT_Y)))
            return 0;
        if (s->h * s->w * s->c != (of_x ? sizes->x_elements : sizes->y_elements)) return 0;
        e[0].sample = pmc_image_stride(s) * r;
        return 1;
    }
    case PMC_FLATTEN_FORWARD:
    case PMC_FLATTEN_BACKWARD: {
        if (!image_fits(&op->shape.image)) return 0;
        const pmc_image *s = &op->shape.image;
        const int backward = op->kind == PMC_FLATTEN_BACKWARD;
        e[backward].sample = pmc_vector_stride(s->h * s->w * s->c) * r;
        e[!backward].sample = pmc_image_stride(s) * r;
        return 1;
    }
    case PMC_CONV_FORWARD:
    case PMC_CONV_WEIGHT_GRADIENT:
    case PMC_CONV_INPUT_GRADIENT:
    case PMC_CONV_PACK: {
        if (!conv_fits(conv, group)) return 0;
        const int64_t x = pmc_image_stride(&conv->in) * r, y = pmc_image_stride(&conv->out) * r;
        const int64_t w = conv->out.c * conv->kh * pmc_filter_row(conv) * r, b = pmc_padded(conv->out.c) * r;
        const int64_t argmax = pmc_argmax_stride(&conv->out), panel = pmc_conv_panel_elements(conv) * r;
        const int64_t events = pmc_conv_events_bytes(conv, group);
        if (op->kind == PMC_CONV_FORWARD) {
            e[0].sample = y, e[1].sample = argmax, e[2].sample = x;
            e[3].whole = panel, e[5].whole = pmc_conv_rows_elements(conv) * r;
            e[4].whole = b + (conv->groups > 1 ? PMC_PAD * r : 0); /* vectors of the last group reach over it */
        } else if (op->kind == PMC_CONV_WEIGHT_GRADIENT) {
            e[0].whole = w, e[1].whole = b, e[2].sample = y;
            e[3].sample = argmax, e[4].sample = x, e[5].whole = events;
        } else if (op->kind == PMC_CONV_INPUT_GRADIENT) {
            e[0].sample = x, e[1].sample = y, e[2].sample = argmax;
            e[3].whole = w, e[4].whole = events;
        } else e[0].whole = panel, e[1].whole = w, e[2].whole = b;
        return 1;
    }
    case PMC_POOL_FORWARD:
    case PMC_POOL_BACKWARD: {
        if (!pool_fits(pool)) return 0;
        const int64_t x = pmc_image_stride(&pool->in) * r, y = pmc_image_stride(&pool->out) * r;
        const int64_t argmax = pool->out.h * pool->out.w * pool->out.c * (int64_t)sizeof(int32_t);
        if (op->kind == PMC_POOL_FORWARD) e[0].sample = y, e[1].sample = argmax, e[2].sample = x;
        else e[0].sample = x, e[1].sample = y, e[2].sample = argmax;
        return 1;
    }
    case PMC_AVERAGE_FORWARD:
    case PMC_AVERAGE_BACKWARD: {
        if (!pool_fits(pool) || pool->dilation_h != 1 || pool->dilation_w != 1) return 0;
        const int forward = op->kind == PMC_AVERAGE_FORWARD;
        e[forward].sample = pmc_image_stride(&pool->in) * r, e[!forward].sample = pmc_image_stride(&pool->out) * r;
        return 1;
    }
    case PMC_LINEAR_FORWARD:
    case PMC_LINEAR_WEIGHT_GRADIENT:
    case PMC_LINEAR_INPUT_GRADIENT:
    case PMC_LINEAR_SPARSE_FORWARD:
    case PMC_LINEAR_TILE_FORWARD:
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT:
    case PMC_LINEAR_TILE_INPUT_GRADIENT: {
        if (!linear_fits(linear)) return 0;
        const int forward = op->kind == PMC_LINEAR_FORWARD || op->kind == PMC_LINEAR_SPARSE_FORWARD ||
                            op->kind == PMC_LINEAR_TILE_FORWARD;
        const int large = op->kind == PMC_LINEAR_SPARSE_FORWARD || op->kind >= PMC_LINEAR_TILE_FORWARD;
        const int64_t x = pmc_vector_stride(linear->in) * r, y = pmc_vector_stride(linear->out) * r;
        const int64_t b = pmc_padded(linear->out) * r;
        const int64_t w = (large ? linear->in * pmc_padded(linear->out) : linear->out * pmc_padded(linear->in)) * r;
        if (forward) {
            e[0].sample = y, e[1].sample = x, e[2].whole = w, e[3].whole = b;
        } else if (op->kind == PMC_LINEAR_WEIGHT_GRADIENT || op->kind == PMC_LINEAR_TILE_WEIGHT_GRADIENT) {
            e[0].whole = w, e[1].whole = b, e[2].sample = y, e[3].sample = x;
        } else {
            e[0].sample = x, e[1].sample = y, e[2].whole = w;
            if (op->kind == PMC_LINEAR_TILE_INPUT_GRADIENT) e[3].whole = pmc_linear_panel_elements(linear) * r;
        }
        return 1;
    }
    case PMC_ACTIVATION_FORWARD:
    case PMC_ACTIVATION_BACKWARD:
        if (!image_fits(&op->shape.elements.image) || !activation_fits(&op->shape.elements.activation)) return 0;
        e[0].sample = e[1].sample = pmc_image_stride(&op->shape.elements.image) * r;
        return 1;
    case PMC_DROPOUT: {
        const pmc_dropout *s = &op->shape.dropout;
        if (!image_fits(&s->image) || !between(s->threshold, 0, UINT32_MAX)) return 0;
        e[0].sample = e[1].sample = pmc_image_stride(&s->image) * r;
        return 1;
    }
    case PMC_NOISE:
        if (!image_fits(&op->shape.noise.image)) return 0;
        e[0].sample = e[1].sample = pmc_image_stride(&op->shape.noise.image) * r;
        return 1;
    case PMC_WARP_FORWARD:
    case PMC_WARP_BACKWARD:
        if (!warp_fits(&op->shape.warp)) return 0;
        e[0].sample = e[1].sample = pmc_image_stride(&op->shape.warp.image) * r;
        e[2].sample = pmc_warp_field_elements(&op->shape.warp) * r;
        return 1;
    case PMC_NORM_MOMENTS:
    case PMC_NORM_APPLY:
    case PMC_NORM_GRADIENT_SUMS:
    case PMC_NORM_INPUT_GRADIENT:
    case PMC_NORM_STATISTICS:
    case PMC_NORM_GRADIENT:
    case PMC_NORM_FOLD: return norm_extents(e, op, r);
    case PMC_SOFTMAX_FORWARD:
    case PMC_SOFTMAX_BACKWARD:
    case PMC_LOG_SOFTMAX_FORWARD:
    case PMC_LOG_SOFTMAX_BACKWARD:
    case PMC_CROSS_ENTROPY:
    case PMC_LIKELIHOOD:
    case PMC_EXPECTED_PROBABILITY:
    case PMC_SQUARED_ERROR: {
        if (!vector_fits(op->shape.classes.classes)) return 0;
        if (op->kind >= PMC_CROSS_ENTROPY && op->shape.classes.classes != sizes->y_elements) return 0;
        const int64_t stride = pmc_vector_stride(op->shape.classes.classes) * r;
        e[0].sample = e[1].sample = stride;
        return 1;
    }
    case PMC_UPDATE:
        if (!vector_fits(rows->rows) || !vector_fits(rows->length) || rows->length % PMC_PAD ||
            !FITS(rows->rows, rows->length))
            return 0;
        if (!between(rows->gradient_only, 0, 1)) return 0;
        e[0].whole = e[1].whole = rows->rows * rows->length * r;
        e[2].whole = squares_bytes(sizes);
        return 1;
    case PMC_GRADIENT_SQUARES:
        if (rows->rows != squares_tasks(sizes)) return 0;
        e[0].whole = squares_bytes(sizes);
        return 1;
    case PMC_OP_KINDS: break;
    }
    return 0;
}

/* May a reference be absent? A layer without bias; a forward pass that keeps no argmax. */
static int may_be_nowhere(const pmc_op *op, int ref) {
    switch (op->kind) {
    case PMC_CONV_FORWARD: return ref == 1 || ref == 4;
    case PMC_CONV_WEIGHT_GRADIENT: return ref == 1;
    case PMC_LINEAR_FORWARD:
    case PMC_LINEAR_SPARSE_FORWARD:
    case PMC_LINEAR_TILE_FORWARD: return ref == 3;
    case PMC_LINEAR_WEIGHT_GRADIENT:
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT: return ref == 1;
    case PMC_NORM_STATISTICS: return ref == 2 || ref == 3;
    case PMC_NORM_GRADIENT: return ref == 1 || ref == 2;
    case PMC_NORM_FOLD: return ref == 1 || ref == 2 || ref == 4;
    case PMC_UPDATE: return ref == 1 || ref == 2;
    case PMC_CONV_PACK: return ref == 2;
    default: return 0;
    }
}

/* Where may a reference lie? What is there once a sample: in BATCH, or in THREAD while a group is in hand.
 * What an update changes: in PARAM, since the gradient and the moments lie there too in arenas of their own. */
static int arena_fits(const pmc_op *op, int ref, int64_t arena, int per_sample) {
    const int tiles = op->kind >= PMC_LINEAR_TILE_FORWARD;
    if (per_sample) return arena == PMC_BATCH || (arena == PMC_THREAD && !tiles);
    if (op->kind == PMC_LINEAR_TILE_WEIGHT_GRADIENT) return arena == PMC_PARAM;
    if (op->kind == PMC_NORM_GRADIENT && ref) return arena == PMC_PARAM;
    if (op->kind == PMC_UPDATE) return arena == (ref == 0 ? PMC_PARAM : ref == 1 ? PMC_SHARD : PMC_PACK);
    return arena == PMC_PARAM || arena == PMC_PACK || arena == PMC_SHARD || arena == PMC_THREAD;
}

static pmc_status check_op(pmc_extent extents[PMC_REFS], const pmc_op *op, const pmc_plan_sizes *sizes) {
    const int64_t arena_bytes[PMC_ARENAS] = {
        [PMC_PARAM] = sizes->model_bytes, [PMC_PACK] = sizes->pack_bytes,     [PMC_BATCH] = sizes->batch_bytes,
        [PMC_SHARD] = sizes->shard_bytes, [PMC_THREAD] = sizes->thread_bytes,
    };
    int64_t ends[PMC_REFS] = {0};
    if (!op_extents(extents, op, sizes)) return PMC_BAD_SHAPE;
    for (int i = 0; i < PMC_REFS; i++) {
        const pmc_ref *ref = &op->ref[i];
        const int64_t instances = ref->arena == PMC_BATCH ? sizes->capacity : sizes->group;
        int64_t bytes = extents[i].whole, end;
        if (extents[i].sample + extents[i].whole == 0) continue;
        if (ref->arena == PMC_NOWHERE && may_be_nowhere(op, i)) continue;
        if (!arena_fits(op, i, ref->arena, extents[i].sample != 0)) return PMC_BAD_BOUNDS;
        if (extents[i].sample && __builtin_mul_overflow(extents[i].sample, instances, &bytes)) return PMC_BAD_SHAPE;
        if (ref->offset < 0 || ref->offset % PMC_ALIGN || __builtin_add_overflow(ref->offset, bytes, &end) ||
            end > arena_bytes[ref->arena])
            return PMC_BAD_BOUNDS;
        ends[i] = end;
        for (int j = 0; j < i; j++) { /* what an op writes never lies across what it reads: the same, or apart */
            const pmc_ref *other = &op->ref[j];
            const int same = ref->offset == other->offset && end == ends[j] && extents[i].sample && extents[j].sample;
            if (ends[j] && ref->arena == other->arena && !same && ref->offset < ends[j] && other->offset < end)
                return PMC_BAD_BOUNDS;
        }
    }
    return PMC_OK;
}

/* ---- guards ---- */

#if PMC_GUARD
#include <sanitizer/asan_interface.h>

static void unpoison_references(pmc_plan *plan, pmc_arena arena, char *base, int64_t copies, int64_t copy_bytes) {
    const pmc_plan_sizes *s = &plan->sizes;
    for (int64_t i = 0; i < s->ops * PMC_REFS; i++) {
        const pmc_ref *ref = &plan->ops[i / PMC_REFS].ref[i % PMC_REFS];
        const pmc_extent *e = &plan->extents[i / PMC_REFS][i % PMC_REFS];
        const int64_t bytes = e->whole + e->sample * (arena == PMC_BATCH ? s->capacity : s->group);
        if (ref->arena == (int64_t)arena)
            for (int64_t copy = 0; copy < copies; copy++)
                ASAN_UNPOISON_MEMORY_REGION(base + copy * copy_bytes + ref->offset, (size_t)bytes);
    }
}

/* Only what some reference names may be touched: or, to fill or free them, all of the arenas. */
static void guard(pmc_plan *plan, int on) {
    const pmc_plan_sizes *s = &plan->sizes;
    const int64_t shards = pmc_shards(s->capacity);
    const struct {
        pmc_arena arena;
        char *base;
        int64_t copies, bytes;
    } arenas[] = {{PMC_PACK, plan->pack, 1, s->pack_bytes},
                  {PMC_BATCH, plan->batch, 1, s->batch_bytes},
                  {PMC_SHARD, plan->shard, shards, s->shard_bytes},
                  {PMC_THREAD, plan->thread, plan->threads, s->thread_bytes}};
    for (int i = 0; i < 4; i++) {
        const size_t bytes = (size_t)(arenas[i].copies * arenas[i].bytes);
        if (!arenas[i].base) continue;
        if (on) {
            ASAN_POISON_MEMORY_REGION(arenas[i].base, bytes);
            unpoison_references(plan, arenas[i].arena, arenas[i].base, arenas[i].copies, arenas[i].bytes);
        } else ASAN_UNPOISON_MEMORY_REGION(arenas[i].base, bytes);
    }
}
#else
static void guard(pmc_plan *plan, int on) { (void)plan, (void)on; }
#endif

/* ---- making ---- */

static char *arena_new(int64_t bytes) {
    char *arena = aligned_alloc(PMC_ALIGN, (size_t)((bytes + SLACK + PMC_ALIGN - 1) / PMC_ALIGN * PMC_ALIGN));
    if (arena) memset(arena, 0, (size_t)(bytes + SLACK));
    return arena;
}

static void *copy_of(const void *from, int64_t count, size_t size) {
    void *copy = malloc((size_t)count * size + 1);
    if (copy) memcpy(copy, from, (size_t)count * size);
    return copy;
}

static pmc_status check_plan(pmc_plan *plan, int64_t *bad_op) {
    const pmc_plan_sizes *s = &plan->sizes;
    for (int64_t i = 0; i < s->ops; i++) {
        const pmc_status status = check_op(plan->extents[i], &plan->ops[i], s);
        if (status != PMC_OK) return *bad_op = i, status;
    }
    for (int64_t i = 0; i < s->phases; i++) {
        const pmc_phase *phase = &plan->phases[i];
        if (!between(phase->first_op, 0, s->ops) || !between(phase->ops, 0, s->ops - phase->first_op))
            return PMC_BAD_BOUNDS;
        for (int64_t op = phase->first_op; op < phase->first_op + phase->ops; op++)
            if ((plan->ops[op].kind >= PMC_LINEAR_TILE_FORWARD) != (phase->scope == PMC_SCOPE_TILES))
                return *bad_op = op, PMC_BAD_SHAPE;
    }
    for (int i = 0; i < PMC_PROGRAMS; i++)
        if (!between(plan->programs[i].first_phase, 0, s->phases) ||
            !between(plan->programs[i].phases, 0, s->phases - plan->programs[i].first_phase))
            return PMC_BAD_BOUNDS;
    const pmc_program *prepare = &plan->programs[PMC_PREPARE]; /* it has no samples: weights are all it sees */
    for (int64_t i = prepare->first_phase; i < prepare->first_phase + prepare->phases; i++)
        for (int64_t op = plan->phases[i].first_op; op < plan->phases[i].first_op + plan->phases[i].ops; op++)
            if (plan->ops[op].kind != PMC_CONV_PACK && plan->ops[op].kind != PMC_NORM_FOLD)
                return *bad_op = op, PMC_BAD_SHAPE;
    return PMC_OK;
}

pmc_status pmc_plan_new(pmc_plan **out, const pmc_plan_sizes *sizes, const pmc_op *ops, const pmc_phase *phases,
                        const pmc_program programs[PMC_PROGRAMS], const pmc_device *device, int64_t *bad_op) {
    const int64_t bytes[] = {sizes->model_bytes, sizes->pack_bytes, sizes->batch_bytes, sizes->shard_bytes,
                             sizes->thread_bytes};
    *out = NULL;
    *bad_op = -1;
    for (int i = 0; i < 5; i++)
        if (!between(bytes[i], 0, INT64_MAX / (4 * SHARDS_MAX)) || bytes[i] % PMC_ALIGN) return PMC_BAD_SHAPE;
    if (!between(sizes->dtype, 0, PMC_DTYPES - 1) || !between(sizes->capacity, 1, INT32_MAX) ||
        !between(sizes->group, 1, sizes->capacity) || !between(sizes->ops, 0, 1 << 20) ||
        !between(sizes->phases, 0, 1 << 20))
        return PMC_BAD_SHAPE;
    pmc_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return PMC_NO_MEMORY;
    plan->sizes = *sizes;
    memcpy(plan->programs, programs, sizeof plan->programs);
    plan->ops = copy_of(ops, sizes->ops, sizeof *ops);
    plan->phases = copy_of(phases, sizes->phases, sizeof *phases);
    plan->extents = calloc((size_t)sizes->ops + 1, sizeof *plan->extents);
    pmc_status status = PMC_NO_MEMORY;
    if (plan->ops && plan->phases && plan->extents) status = check_plan(plan, bad_op);
    if (status == PMC_OK && device) status = pmc_on_device_new(&plan->on_device, sizes, device);
    else if (status == PMC_OK) {
        plan->pack = arena_new(sizes->pack_bytes);
        plan->batch = arena_new(sizes->batch_bytes);
        plan->shard = arena_new(sizes->shard_bytes * pmc_shards(sizes->capacity));
        plan->loss = malloc((size_t)sizes->capacity * sizeof *plan->loss);
        plan->correct = malloc((size_t)sizes->capacity);
        if (!plan->pack || !plan->batch || !plan->shard || !plan->loss || !plan->correct) status = PMC_NO_MEMORY;
    }
    if (status != PMC_OK) return pmc_plan_free(plan), status;
    guard(plan, 1);
    *out = plan;
    return PMC_OK;
}

void pmc_plan_free(pmc_plan *plan) {
    if (!plan) return;
    guard(plan, 0);
    pmc_on_device_free(plan->on_device);
    free(plan->ops), free(plan->phases), free(plan->extents), free(plan->loss), free(plan->correct);
    free(plan->pack), free(plan->batch), free(plan->shard), free(plan->thread);
    free(plan);
}

pmc_status pmc_plan_threads(pmc_plan *plan, int64_t threads) {
    int64_t bytes;
    if (plan->threads >= threads) return PMC_OK;
    if (__builtin_mul_overflow(plan->sizes.thread_bytes, threads, &bytes)) return PMC_NO_MEMORY;
    char *arena = arena_new(bytes);
    if (!arena) return PMC_NO_MEMORY;
    guard(plan, 0);
    free(plan->thread);
    plan->thread = arena;
    plan->threads = threads;
    guard(plan, 1);
    return PMC_OK;
}

pmc_status pmc_plan_poison(pmc_plan *plan, int byte) {
    const pmc_plan_sizes *s = &plan->sizes;
    if (plan->on_device) return pmc_on_device_fill(plan->on_device, s, byte);
    guard(plan, 0);
    memset(plan->pack, byte, (size_t)(s->pack_bytes + SLACK));
    memset(plan->batch, byte, (size_t)(s->batch_bytes + SLACK));
    memset(plan->shard, byte, (size_t)(s->shard_bytes * pmc_shards(s->capacity) + SLACK));
    if (plan->thread) memset(plan->thread, byte, (size_t)(s->thread_bytes * plan->threads + SLACK));
    guard(plan, 1);
    return PMC_OK;
}

pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes) {
    if (plan->on_device) return pmc_on_device_peek(plan->on_device, to, offset, bytes);
    guard(plan, 0);
    memcpy(to, plan->batch + offset, (size_t)bytes);
    guard(plan, 1);
    return PMC_OK;
}
