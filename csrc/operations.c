/* The record of every operation: what its references are and hold, what makes its shape sound, how it is shared.
 * Sizes are written here, and nowhere else: plan.c checks by them, Python places buffers by them. */
#include "operations.h"

int64_t pmc_shards(int64_t n) {
    int64_t shards = 1;
    while (shards < PMC_SHARDS && 2 * shards <= n / 2) shards *= 2;
    return shards;
}

/* ---- is a shape sound? ---- */

static int between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

/* Offsets inside a tensor are int32 in places: nothing may be larger. The product is checked as it grows. */
static int product_fits(const int64_t *factors, int count) {
    int64_t product = 1;
    for (int i = 0; i < count; i++)
        if (!between(factors[i], 0, INT32_MAX) || __builtin_mul_overflow(product, factors[i], &product) ||
            product > PMC_LARGEST)
            return 0;
    return 1;
}
#define FITS(...) product_fits((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int vector_fits(int64_t n) { return between(n, 1, INT32_MAX / 4); }

static int is_image(const pmc_image *s) {
    const int64_t sizes[] = {s->h, s->w, s->c, s->top, s->bottom, s->left, s->right};
    for (int i = 0; i < 7; i++)
        if (!between(sizes[i], i < 3, INT32_MAX / 4)) return 0;
    return FITS(pmc_image_rows(s), s->left + s->w + s->right, s->c);
}

/* Are `out` outputs what a window of `size` taps finds in `in` positions? */
static int window_fits(int64_t in, int64_t out, int64_t size, int64_t stride, int64_t dilation) {
    return between(size, 1, in) && between(stride, 1, INT32_MAX / 4) && between(dilation, 1, INT32_MAX / 4) &&
           FITS(out, stride) && FITS(size, dilation) && (out - 1) * stride + (size - 1) * dilation < in;
}

static int is_activation(const pmc_activation *f) {
    return between(f->kind, PMC_IDENTITY, PMC_ACTIVATIONS - 1) && f->alpha >= 0;
}

/* Every check has this form. */
#define UNUSED __attribute__((unused))
#define CHECK(name) static int name(UNUSED const pmc_op *op, UNUSED const pmc_plan_sizes *sizes)

enum { NONZERO_BYTES = 16 }; /* an index and a value, of doubles */

CHECK(conv_fits) {
    const pmc_conv *s = &op->shape.conv;
    return is_image(&s->in) && is_image(&s->out) && between(s->groups, 1, s->in.c) && s->in.c % s->groups == 0 &&
           s->out.c % s->groups == 0 && is_activation(&s->activation) && between(s->pool_h, 1, PMC_NO_GRADIENT) &&
           between(s->pool_w, 1, PMC_NO_GRADIENT) && s->pool_h * s->pool_w <= PMC_NO_GRADIENT &&
           window_fits(pmc_image_rows(&s->in), s->out.h * s->pool_h, s->kh, s->stride_h, s->dilation_h) &&
           window_fits(s->in.left + s->in.w + s->in.right, s->out.w * s->pool_w, s->kw, s->stride_w, s->dilation_w) &&
           FITS(s->kw, s->in.c) && FITS(s->out.c + PMC_PAD, s->kh, pmc_filter_row(s)) &&
           FITS(s->groups, s->kh, s->kw, s->in.c / s->groups, pmc_padded(s->out.c / s->groups)) &&
           FITS(sizes->microbatch, pmc_image_stride(&s->in)) && FITS(sizes->microbatch, pmc_image_stride(&s->out)) &&
           FITS(s->pool_h * s->pool_w + 1, s->out.w, s->out.c + 2 * PMC_PAD, NONZERO_BYTES);
}

/* Does every window begin at or before the last pixel? It may reach over the end. */
static int pool_axis_fits(int64_t in, int64_t out, int64_t size, int64_t stride, int64_t before, int64_t after,
                          int64_t dilation) {
    return between(size, 1, INT32_MAX / 4) && between(stride, 1, INT32_MAX / 4) &&
           between(dilation, 1, INT32_MAX / 4) && FITS(size, dilation) && FITS(out, stride) &&
           between(before, 0, (size - 1) * dilation) && between(after, 0, (size - 1) * dilation) &&
           (out - 1) * stride - before < in;
}
CHECK(pool_fits) {
    const pmc_pool *s = &op->shape.pool;
    return is_image(&s->in) && is_image(&s->out) && s->in.c == s->out.c && between(s->count_pad, 0, 1) &&
           pool_axis_fits(s->in.h, s->out.h, s->kh, s->stride_h, s->top, s->bottom, s->dilation_h) &&
           pool_axis_fits(s->in.w, s->out.w, s->kw, s->stride_w, s->left, s->right, s->dilation_w);
}
CHECK(average_fits) { return pool_fits(op, sizes) && op->shape.pool.dilation_h == 1 && op->shape.pool.dilation_w == 1; }

CHECK(linear_fits) {
    const pmc_linear *s = &op->shape.linear;
    return vector_fits(s->in) && vector_fits(s->out) && FITS(pmc_padded(s->in), pmc_linear_pitch(s)) &&
           between(s->sparse, 0, 1);
}

CHECK(image_fits) { return is_image(&op->shape.image); }
CHECK(activation_fits) { return image_fits(op, sizes) && is_activation(&op->shape.elements.activation); }
static int same_size(const pmc_image *a, const pmc_image *b) { return a->h == b->h && a->w == b->w && a->c == b->c; }
CHECK(add_fits) {
    const pmc_sum *s = &op->shape.sum;
    return is_image(&s->out) && is_image(&s->a) && is_image(&s->b) && same_size(&s->out, &s->a) &&
           same_size(&s->out, &s->b);
}
CHECK(dropout_fits) { return image_fits(op, sizes) && between(op->shape.dropout.threshold, 0, UINT32_MAX); }

/* Angles stay under a half turn (a lean under a quarter), and a picture is not scaled to nothing. */
CHECK(warp_fits) {
    const pmc_warp *s = &op->shape.warp;
    const double size = s->shift + s->elastic;
    return image_fits(op, sizes) && between(s->cutout, 0, INT32_MAX / 4) && s->rotation >= 0 && s->rotation <= 3.2 &&
           s->shear >= 0 && s->shear <= 1.5 && s->scale >= 0 && s->scale < 1 && s->stretch >= 0 && s->stretch < 1 &&
           s->crop_least > 0 && s->crop_least <= s->crop_most && s->crop_most <= 1 && s->shift >= 0 &&
           s->elastic >= 0 && size <= 1e6 && between(s->grid, 0, 1024) &&
           (s->elastic == 0 || (s->sigma > 0 && s->sigma <= 1000)) &&
           FITS(4, s->image.h + 2 * pmc_warp_radius(s), s->image.w + 2 * pmc_warp_radius(s), 8);
}

CHECK(morphology_fits) {
    const pmc_morphology *s = &op->shape.morphology;
    return image_fits(op, sizes) && s->dilation >= 0 && s->dilation <= 1000 && s->erosion >= 0 && s->erosion <= 1000 &&
           FITS(4, s->image.h + 2, s->image.w + 2, s->image.c);
}

CHECK(erasing_fits) {
    const pmc_erasing *s = &op->shape.erasing;
    return image_fits(op, sizes) && s->p >= 0 && s->p <= 1 && s->area_least >= 0 && s->area_least <= s->area_most &&
           s->area_most <= 1 && s->ratio_least >= -5 && s->ratio_least <= s->ratio_most && s->ratio_most <= 5;
}

CHECK(norm_fits) {
    const pmc_norm *s = &op->shape.norm;
    return image_fits(op, sizes) && FITS(PMC_NORM_ROWS, pmc_padded(s->image.c), 8) && between(s->rectified, 0, 1) &&
           s->epsilon >= 0;
}

static int port_fits(const pmc_op *op, const pmc_plan_sizes *sizes, int64_t port) {
    const pmc_image *s = &op->shape.image;
    const int of_x = port == PMC_PORT_X || port == PMC_PORT_DX;
    return is_image(s) && op->shape.transfer.port == port &&
           s->h * s->w * s->c == (of_x ? sizes->x_elements : sizes->y_elements);
}
CHECK(input_fits) { return port_fits(op, sizes, PMC_PORT_X) || port_fits(op, sizes, PMC_PORT_DY); }
CHECK(output_fits) { return port_fits(op, sizes, PMC_PORT_Y) || port_fits(op, sizes, PMC_PORT_DX); }

CHECK(softmax_fits) {
    return image_fits(op, sizes) && between(op->shape.softmax.axis, PMC_ALONG_CHANNELS, PMC_ALONG_COLUMNS);
}
CHECK(loss_fits) {
    const int64_t classes = op->shape.classes.classes;
    return vector_fits(classes) && classes == sizes->y_elements;
}

CHECK(update_fits) {
    const int64_t elements = op->shape.parameter.elements;
    return between(elements, 1, PMC_LARGEST) && elements % PMC_PAD == 0;
}
CHECK(squares_fit) {
    return update_fits(op, sizes) && op->shape.parameter.elements == sizes->model_bytes / pmc_real_bytes(sizes);
}

/* ---- what references hold ---- */

/* Every size has this form: so many bytes, or so many reals. */
#define BYTES(name, size)                                                                                              \
    static int64_t name(UNUSED const pmc_op *op, UNUSED const pmc_plan_sizes *sizes) { return (size); }
#define REALS(name, size) BYTES(name, (size)*pmc_real_bytes(sizes))

/* clang-format off */
REALS(image, pmc_image_stride(&op->shape.image)) /* whatever the shape: it begins with its image */
REALS(flat_image, pmc_vector_stride(op->shape.image.h * op->shape.image.w * op->shape.image.c))

#define CONV (&op->shape.conv)
REALS(conv_in, pmc_image_stride(&CONV->in))
REALS(conv_out, pmc_image_stride(&CONV->out))
BYTES(conv_argmax, pmc_argmax_stride(&CONV->out))
REALS(conv_weights, CONV->out.c * CONV->kh * pmc_filter_row(CONV))
REALS(conv_packed, sizes->pairs ? pmc_conv_words(CONV) + pmc_conv_filters(CONV) : pmc_conv_packed(CONV))
REALS(conv_channels, pmc_padded(CONV->out.c))
REALS(conv_norm, PMC_NORM_ROWS *pmc_padded(CONV->out.c))
/* vectors of the last group reach over it */
REALS(conv_bias, pmc_padded(CONV->out.c) + (CONV->groups > 1 ? PMC_PAD : 0))
/* and those of the last filters over these, which are read tap by tap: behind a model's parameters there is as much */
REALS(filters, CONV->out.c * CONV->kh * pmc_filter_row(CONV) + PMC_PAD)

/* clang-format on */

/* A pool's rows of outputs, and in bfloat16 a picture of factors and what is gathered of two tiles of 16 rows; or, by
 * Winograd's method, the patches of a block, and the products of one of its columns. */
static int64_t conv_rows(const pmc_op *op, const pmc_plan_sizes *sizes) {
    const int64_t side = pmc_conv_winograd(CONV), c = pmc_padded(CONV->in.c), k = pmc_padded(CONV->out.c);
    const int64_t tiles = side * side * (PMC_WINOGRAD_TILES * (c + PMC_WINOGRAD_MOST) + PMC_PAD);
    const int64_t rows = CONV->pool_h * CONV->pool_w * CONV->out.w * (k + PMC_PAD) + PMC_PAD;
    const int64_t gathered = PMC_PAD * pmc_gathered(pmc_conv_runs(CONV), pmc_conv_run(CONV));
    if (sizes->pairs) return (rows + pmc_image_stride(&CONV->in) + gathered) * pmc_real_bytes(sizes);
    return (side ? tiles : rows) * pmc_real_bytes(sizes);
}

/* Three offsets an output pixel and the nonzeros of a vector of output channels, or the ranges of the microbatch; nonzeros
 * over window indices and channels, of one output pixel or of some, and then their sums, too; or, where every channel
 * is a group of its own, packed weights. Before them, pictures of factors. Or what tiles need. */
static int64_t conv_nonzeros(const pmc_op *op, const pmc_plan_sizes *sizes) {
    const int64_t lists_of = sizes->pairs ? 2 : pmc_conv_quarters(CONV) ? PMC_QUARTERS : 1;
    const int64_t of_weights = lists_of * 9 * (PMC_NONZEROS + PMC_PAD) + sizes->microbatch * CONV->out.h;
    const int64_t indices = CONV->pool_h * CONV->pool_w, list = indices * pmc_padded(CONV->out.c);
    const int apart = !sizes->pairs && pmc_conv_apart(CONV, pmc_real_bytes(sizes));
    const int64_t sums = apart ? PMC_APART * indices * conv_weights(op, sizes) / CONV->out.c : 0;
    const int64_t of_input = NONZERO_BYTES * ((apart ? PMC_APART : 1) * list + PMC_PAD) + sums;
    const int64_t pictures = sizes->pairs ? sizes->microbatch * pmc_image_stride(&CONV->in) * pmc_real_bytes(sizes) : 0;
    if (pmc_conv_depthwise(CONV)) return pictures + NONZERO_BYTES * pmc_conv_packed(CONV);
    const int64_t lists = pictures + (NONZERO_BYTES * of_weights > of_input ? NONZERO_BYTES * of_weights : of_input);
    const int64_t tiles =
        sizes->pairs && pmc_conv_spread(CONV) ? pmc_conv_spread_room(CONV) * pmc_real_bytes(sizes) : 0;
    return lists > tiles ? lists : tiles;
}

/* clang-format off */
#define POOL (&op->shape.pool)
REALS(pool_in, pmc_image_stride(&POOL->in))
REALS(pool_out, pmc_image_stride(&POOL->out))
BYTES(pool_argmax, POOL->out.h * POOL->out.w * POOL->out.c * (int64_t)sizeof(int32_t))

#define LINEAR (&op->shape.linear)
REALS(features_in, pmc_vector_stride(LINEAR->in))
REALS(features_out, pmc_vector_stride(LINEAR->out))
REALS(small_weights, LINEAR->out * pmc_padded(LINEAR->in))
REALS(large_weights, LINEAR->in * pmc_linear_pitch(LINEAR))
REALS(linear_bias, pmc_padded(LINEAR->out))

/* Words of bfloat16 that a task packs: a piece of either factor, and in a column's room their rows' ends. */
#define WORDS(n) pmc_vector_stride(pmc_blocks(n, 2))
#define PACKED_REALS(name, size) REALS(name, sizes->pairs ? (size) : 0)
PACKED_REALS(packed_microbatch, sizes->microbatch * WORDS(LINEAR->in))
PACKED_REALS(packed_tile, PMC_TILE_ROWS * WORDS(LINEAR->in))
REALS(linear_words, sizes->pairs ? pmc_linear_depth(LINEAR) * pmc_padded(LINEAR->out)
                                 : LINEAR->in * pmc_linear_pitch(LINEAR))
REALS(linear_band, PMC_TILE_BAND * pmc_linear_pitch(LINEAR) +
                       (sizes->pairs ? (2 * PMC_TILE_COLUMNS + PMC_PACKED_COLUMNS) * WORDS(sizes->capacity) : 0))
REALS(linear_packed, sizes->pairs ? (PMC_TILE_ROWS + PMC_TILE_COLUMNS) * WORDS(LINEAR->out)
                                 : LINEAR->out * PMC_TILE_COLUMNS)

REALS(sum_out, pmc_image_stride(&op->shape.sum.out))
REALS(sum_a, pmc_image_stride(&op->shape.sum.a))
REALS(sum_b, pmc_image_stride(&op->shape.sum.b))
REALS(warp_field, pmc_warp_field(&op->shape.warp))
REALS(morphology_pictures, 2 * pmc_morphology_picture(&op->shape.image))
REALS(morphology_sources, 4 * pmc_morphology_picture(&op->shape.image))

#define CHANNELS pmc_padded(op->shape.norm.image.c)
REALS(norm_channels, CHANNELS)
REALS(norm_moment_rows, PMC_MOMENTS_ROWS * CHANNELS)
REALS(norm_sums, 2 * CHANNELS)
REALS(norm_rows, PMC_NORM_ROWS * CHANNELS)
REALS(norm_running, 2 * CHANNELS + PMC_PAD)

REALS(scores, pmc_vector_stride(op->shape.classes.classes))

REALS(parameter, op->shape.parameter.elements)
BYTES(model, sizes->model_bytes)
BYTES(squares, pmc_squares_parts(sizes) * (int64_t)sizeof(double))
/* clang-format on */

/* ---- how it is shared, and how much it is ---- */

#define PARTS(name) static int64_t name(UNUSED const pmc_op *op, UNUSED int64_t n, UNUSED int64_t threads)
#define WORK(name) static int64_t name(UNUSED const pmc_op *op, UNUSED int64_t n, UNUSED int64_t shards)

/* So many vector operations of a convolution are worth handing out: forward, where nothing is done twice, and backward. */
enum { WORTH_SHARING = 6000, WORTH_SHARING_BACKWARD = 64000 };

WORK(conv_work) {
    const double pixels = (double)n * (double)(CONV->out.h * CONV->pool_h) * (double)(CONV->out.w * CONV->pool_w);
    const double work = pixels * (double)(CONV->kh * CONV->kw * CONV->in.c) * (double)pmc_blocks(CONV->out.c, PMC_PAD);
    return work < INT32_MAX ? (int64_t)work : INT32_MAX;
}

/* A batch of a few samples is one shard: threads share its convolutions, the gradient of the weights by output channels. */
PARTS(conv_parts) {
    const int64_t most = pmc_blocks(CONV->out.c, PMC_PAD), pieces = threads < most ? threads : most;
    if (CONV->groups > 1 || conv_work(op, n, 1) < WORTH_SHARING_BACKWARD) return 1;
    return pmc_blocks(most, pmc_blocks(most, pieces)); /* all of one size, but the last */
}
PARTS(conv_forward_parts) {
    const int64_t rows = CONV->out.h < PMC_SHARED_ROWS ? 0 : n * CONV->out.h;
    if (CONV->groups > 1 || conv_work(op, n, 1) < WORTH_SHARING) return 1;
    const int64_t most = rows ? rows : pmc_blocks(CONV->out.c, PMC_PAD), pieces = threads < most ? threads : most;
    return rows ? pieces : pmc_blocks(most, pmc_blocks(most, pieces));
}
PARTS(conv_pack_parts) { return pmc_conv_pack_parts(CONV); }
WORK(conv_pack_work) { return pmc_conv_packed(CONV) / PMC_PAD; }

PARTS(linear_pack_parts) { return pmc_blocks(LINEAR->in, PMC_TILE_BAND); }
WORK(linear_pack_work) { return LINEAR->in * pmc_blocks(LINEAR->out, PMC_PAD); }
PARTS(tile_forward_parts) {
    return pmc_blocks(n, PMC_TILE_ROWS) * pmc_blocks(LINEAR->out, pmc_tile_columns(n, LINEAR->out, threads));
}
PARTS(tile_weight_gradient_parts) { return pmc_blocks(LINEAR->in, PMC_TILE_BAND) + 1; }
PARTS(tile_input_gradient_parts) { return n ? pmc_blocks(pmc_padded(LINEAR->in), PMC_TILE_COLUMNS) : 0; }
WORK(tile_work) { return LINEAR->in * LINEAR->out / PMC_PAD * (n > 8 ? n : 8); } /* a few wait for the weights */

PARTS(alone) { return 1; }
WORK(norm_work) { return 2 * n * op->shape.norm.image.c / PMC_PAD; }
WORK(norm_fold_work) { return op->shape.norm.image.c / PMC_PAD; }

PARTS(update_parts) { return pmc_blocks(op->shape.parameter.elements, PMC_UPDATED); }
WORK(update_work) { return op->shape.parameter.elements / PMC_PAD * (shards + 4); }

PARTS(squares_parts) { return pmc_blocks(op->shape.parameter.elements, PMC_SQUARES); }
WORK(squares_work) { return op->shape.parameter.elements / PMC_PAD; }

/* ---- the records ---- */

/* Where a reference may lie. */
enum {
    SAMPLE = 1 << PMC_BATCH | 1 << PMC_THREAD | PMC_EACH_SAMPLE,
    WEIGHT = 1 << PMC_PARAM,
    GRADIENT = 1 << PMC_GRADIENT | PMC_WRITTEN,
    SHARD = 1 << PMC_SHARD | PMC_WRITTEN,
    PACKED = 1 << PMC_PACK,
    SCRATCH = 1 << PMC_THREAD | PMC_SCRATCH | PMC_WRITTEN,
    WRITTEN = PMC_WRITTEN,
    OPTIONAL = PMC_OPTIONAL,
    OF_PAIRS = PMC_OF_PAIRS,
};

#define BY_SAMPLE(name, check, ...) static const pmc_operation name = {.fits = check, .ref = {__VA_ARGS__}};
#define SHARED(name, check, in_parts, of_work, ...)                                                                    \
    static const pmc_operation name = {.fits = check, .parts = in_parts, .work = of_work, .ref = {__VA_ARGS__}};
#define BY_TILES(name, check, in_parts, of_work, ...)                                                                  \
    static const pmc_operation name = {                                                                                \
        .scope = PMC_SCOPE_TILES, .fits = check, .parts = in_parts, .work = of_work, .ref = {__VA_ARGS__}};
#define SAMPLES_BY_TILES(name, check, in_parts, of_work, ...)                                                          \
    static const pmc_operation name = {.scope = PMC_SCOPE_TILES,                                                       \
                                       .by_sample = 1,                                                                 \
                                       .fits = check,                                                                  \
                                       .parts = in_parts,                                                              \
                                       .work = of_work,                                                                \
                                       .ref = {__VA_ARGS__}};
#define LOSS(name)                                                                                                     \
    static const pmc_operation name = {                                                                                \
        .is_loss = 1, .fits = loss_fits, .ref = {{"dz", scores, SAMPLE | WRITTEN}, {"z", scores, SAMPLE}}};

/* clang-format off */
BY_SAMPLE(input, input_fits, {"x", image, SAMPLE | WRITTEN})
BY_SAMPLE(output, output_fits, {"x", image, SAMPLE})
BY_SAMPLE(flatten_forward, image_fits, {"y", flat_image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
BY_SAMPLE(flatten_backward, image_fits, {"dx", image, SAMPLE | WRITTEN}, {"dy", flat_image, SAMPLE})

BY_TILES(conv_pack, conv_fits, conv_pack_parts, conv_pack_work,
         {"packed", conv_packed, PACKED | WRITTEN}, {"w", conv_weights, WEIGHT},
         {"scale", conv_channels, PACKED | OPTIONAL}, {"rounded", filters, PACKED | WRITTEN | OPTIONAL})
SHARED(conv_forward, conv_fits, conv_forward_parts, conv_work,
       {"y", conv_out, SAMPLE | WRITTEN}, {"argmax", conv_argmax, SAMPLE | WRITTEN | OPTIONAL},
       {"x", conv_in, SAMPLE}, {"packed", conv_packed, PACKED}, {"b", conv_bias, WEIGHT | PACKED | OPTIONAL},
       {"rows", conv_rows, SCRATCH}, {"w", filters, WEIGHT | PACKED}, {"scale", conv_channels, PACKED | OPTIONAL},
       {"norm", conv_norm, PACKED | OPTIONAL})
SHARED(conv_weight_gradient, conv_fits, conv_parts, conv_work,
       {"dw", conv_weights, SHARD}, {"db", conv_channels, SHARD | OPTIONAL}, {"dy", conv_out, SAMPLE},
       {"argmax", conv_argmax, SAMPLE}, {"x", conv_in, SAMPLE}, {"nonzeros", conv_nonzeros, SCRATCH})
BY_SAMPLE(conv_input_gradient, conv_fits,
          {"dx", conv_in, SAMPLE | WRITTEN}, {"dy", conv_out, SAMPLE}, {"argmax", conv_argmax, SAMPLE},
          {"w", filters, WEIGHT | PACKED}, {"nonzeros", conv_nonzeros, SCRATCH}, {"packed", conv_packed, PACKED})

BY_SAMPLE(pool_forward, pool_fits,
          {"y", pool_out, SAMPLE | WRITTEN}, {"argmax", pool_argmax, SAMPLE | WRITTEN}, {"x", pool_in, SAMPLE})
BY_SAMPLE(pool_backward, pool_fits,
          {"dx", pool_in, SAMPLE | WRITTEN}, {"dy", pool_out, SAMPLE}, {"argmax", pool_argmax, SAMPLE})
BY_SAMPLE(average_forward, average_fits, {"y", pool_out, SAMPLE | WRITTEN}, {"x", pool_in, SAMPLE})
BY_SAMPLE(average_backward, average_fits, {"dx", pool_in, SAMPLE | WRITTEN}, {"dy", pool_out, SAMPLE})

BY_SAMPLE(linear_forward, linear_fits,
          {"y", features_out, SAMPLE | WRITTEN}, {"x", features_in, SAMPLE}, {"w", small_weights, WEIGHT},
          {"b", linear_bias, WEIGHT | OPTIONAL})
BY_SAMPLE(linear_weight_gradient, linear_fits,
          {"dw", small_weights, SHARD}, {"db", linear_bias, SHARD | OPTIONAL}, {"dy", features_out, SAMPLE},
          {"x", features_in, SAMPLE})
BY_SAMPLE(linear_input_gradient, linear_fits,
          {"dx", features_in, SAMPLE | WRITTEN}, {"dy", features_out, SAMPLE}, {"w", small_weights, WEIGHT})
/* In bfloat16, what products read of the weights: words of two factors, or, by themselves, rounded ones. */
BY_TILES(linear_pack, linear_fits, linear_pack_parts, linear_pack_work,
         {"words", linear_words, PACKED | WRITTEN}, {"w", large_weights, WEIGHT})
BY_SAMPLE(linear_sparse_forward, linear_fits,
          {"y", features_out, SAMPLE | WRITTEN}, {"x", features_in, SAMPLE}, {"w", large_weights, WEIGHT | PACKED},
          {"b", linear_bias, WEIGHT | OPTIONAL}, {"packed", packed_microbatch, SCRATCH},
          {"words", linear_words, PACKED | OF_PAIRS})
SAMPLES_BY_TILES(linear_tile_forward, linear_fits, tile_forward_parts, tile_work,
                 {"y", features_out, SAMPLE | WRITTEN}, {"x", features_in, SAMPLE}, {"w", large_weights, WEIGHT | PACKED},
                 {"b", linear_bias, WEIGHT | OPTIONAL}, {"packed", packed_tile, SCRATCH},
                 {"words", linear_words, PACKED | OF_PAIRS})
/* Where w and b are given, the update follows, which may leave the new weights' words; on the processor dw stays as it
 * is then. */
BY_TILES(linear_tile_weight_gradient, linear_fits, tile_weight_gradient_parts, tile_work,
         {"dw", large_weights, GRADIENT}, {"db", linear_bias, GRADIENT | OPTIONAL}, {"dy", features_out, SAMPLE},
         {"x", features_in, SAMPLE}, {"w", large_weights, WEIGHT | WRITTEN | OPTIONAL},
         {"b", linear_bias, WEIGHT | WRITTEN | OPTIONAL}, {"band", linear_band, SCRATCH},
         {"words", linear_words, PACKED | WRITTEN | OPTIONAL})
SAMPLES_BY_TILES(linear_tile_input_gradient, linear_fits, tile_input_gradient_parts, tile_work,
                 {"dx", features_in, SAMPLE | WRITTEN}, {"dy", features_out, SAMPLE}, {"w", large_weights, WEIGHT | PACKED},
                 {"packed", linear_packed, SCRATCH}, {"words", linear_words, PACKED | OF_PAIRS})

BY_SAMPLE(activation_forward, activation_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
/* dy becomes dx; `from` is what the gradient is computed from, y or x. */
BY_SAMPLE(activation_backward, activation_fits, {"dy", image, SAMPLE | WRITTEN}, {"from", image, SAMPLE})
/* Without b, a copy of a. */
BY_SAMPLE(add, add_fits, {"y", sum_out, SAMPLE | WRITTEN}, {"a", sum_a, SAMPLE}, {"b", sum_b, SAMPLE | OPTIONAL})
BY_SAMPLE(dropout, dropout_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE},
          {"kept", image, SAMPLE | OPTIONAL})
BY_SAMPLE(noise, image_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
BY_SAMPLE(warp_forward, warp_fits,
          {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE}, {"field", warp_field, SCRATCH | PMC_EACH_SAMPLE})
BY_SAMPLE(warp_backward, warp_fits,
          {"dx", image, SAMPLE | WRITTEN}, {"dy", image, SAMPLE}, {"field", warp_field, SCRATCH | PMC_EACH_SAMPLE})
BY_SAMPLE(morphology_forward, morphology_fits,
          {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE},
          {"pictures", morphology_pictures, SCRATCH | PMC_EACH_SAMPLE})
BY_SAMPLE(morphology_backward, morphology_fits,
          {"dx", image, SAMPLE | WRITTEN}, {"dy", image, SAMPLE}, {"x", image, SAMPLE},
          {"pictures", morphology_sources, SCRATCH | PMC_EACH_SAMPLE})
/* To bfloat16. */
BY_SAMPLE(rounding, image_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
/* Of a gradient, too: what is erased has none. */
BY_SAMPLE(erase, erasing_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})

BY_SAMPLE(norm_moments, norm_fits, {"moments", norm_moment_rows, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
BY_TILES(norm_statistics, norm_fits, alone, norm_work,
         {"statistics", norm_rows, PACKED | WRITTEN}, {"moments", norm_moment_rows, SAMPLE},
         {"w", norm_channels, WEIGHT | OPTIONAL}, {"b", norm_channels, WEIGHT | OPTIONAL},
         {"running", norm_running, WEIGHT | WRITTEN})
BY_TILES(norm_fold, norm_fits, alone, norm_fold_work,
         {"statistics", norm_rows, PACKED | WRITTEN}, {"w", norm_channels, WEIGHT | OPTIONAL},
         {"b", norm_channels, WEIGHT | OPTIONAL}, {"running", norm_running, WEIGHT},
         {"conv_bias", norm_channels, WEIGHT | OPTIONAL})
BY_SAMPLE(norm_apply, norm_fits,
          {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE}, {"statistics", norm_rows, PACKED})
BY_SAMPLE(norm_gradient_sums, norm_fits,
          {"sums", norm_sums, SAMPLE | WRITTEN}, {"dy", image, SAMPLE}, {"x", image, SAMPLE},
          {"statistics", norm_rows, PACKED})
BY_TILES(norm_gradient, norm_fits, alone, norm_work,
         {"means", norm_sums, PACKED | WRITTEN}, {"dw", norm_channels, GRADIENT | OPTIONAL},
         {"db", norm_channels, GRADIENT | OPTIONAL}, {"sums", norm_sums, SAMPLE})
BY_SAMPLE(norm_input_gradient, norm_fits,
          {"dx", image, SAMPLE | WRITTEN}, {"dy", image, SAMPLE}, {"x", image, SAMPLE},
          {"statistics", norm_rows, PACKED}, {"means", norm_sums, PACKED})

BY_SAMPLE(softmax_forward, softmax_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
BY_SAMPLE(softmax_backward, softmax_fits, {"dy", image, SAMPLE | WRITTEN}, {"y", image, SAMPLE})
BY_SAMPLE(log_softmax_forward, softmax_fits, {"y", image, SAMPLE | WRITTEN}, {"x", image, SAMPLE})
BY_SAMPLE(log_softmax_backward, softmax_fits, {"dy", image, SAMPLE | WRITTEN}, {"y", image, SAMPLE})
LOSS(cross_entropy)
LOSS(likelihood)
LOSS(expected_probability)
LOSS(squared_error)

BY_TILES(gradient_squares, squares_fit, squares_parts, squares_work,
         {"squares", squares, PACKED | WRITTEN}, {"g", model, 1 << PMC_GRADIENT})
/* g becomes the sum of the shards' gradients, if there are such; then w is updated, if it is given. Gradients are
 * clipped by the norm that squares add up to. */
BY_TILES(update, update_fits, update_parts, update_work,
         {"w", parameter, WEIGHT | WRITTEN | OPTIONAL}, {"g", parameter, GRADIENT},
         {"shards", parameter, 1 << PMC_SHARD | OPTIONAL}, {"squares", squares, PACKED | OPTIONAL})
/* clang-format on */

#define RECORD(NAME, name) [PMC_##NAME] = &name,
const pmc_operation *const pmc_operations[PMC_OP_KINDS] = {PMC_OPERATIONS(RECORD)};
