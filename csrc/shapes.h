/* Shapes: what a kernel must know of its tensors. All fields are int64_t or double, and Python fills them in this
 * order. The formulas that follow from a shape are here, too: how far apart samples and rows lie. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What the processor and a GPU's threads compute alike. */
#ifdef __CUDACC__
#define PMC_INLINE static inline __host__ __device__
#else
#define PMC_INLINE static inline
#endif

/* The element type. Kernels are compiled once with float and once with double; plans and their runners do not look at
 * elements, so that to them a tensor is an untyped pointer. */
#ifndef PMC_REAL
#define PMC_REAL void
#endif
typedef PMC_REAL real;

enum { PMC_FLOAT32, PMC_FLOAT64, PMC_DTYPES };

/* Everywhere: rows of weights and flat vectors are padded to a multiple of PMC_PAD elements on every target, and sums
 * across lanes use PMC_PAD partials, so that results do not depend on the instruction set. */
enum { PMC_PAD = 16, PMC_ALIGN = 64 };

/* Elements of a parameter, at most: offsets inside a tensor are int32 in places. */
enum { PMC_LARGEST = INT32_MAX / 2 };

/* One picture, channels last, with its zero border: [top + h + bottom][left + w + right][c]. A flat vector is a picture
 * of one pixel. */
typedef struct {
    int64_t h, w, c, top, bottom, left, right;
} pmc_image;

/* ACTIVATION(NAME, monotone, from y). A monotone one commutes with max-pooling: a convolution block takes it in, in
 * training only if its gradient is computed from the output y; or else that is from the input x. */
#define PMC_ACTIVATION_KINDS(ACTIVATION)                                                                               \
    ACTIVATION(IDENTITY, 1, 1)                                                                                         \
    ACTIVATION(RELU, 1, 1)                                                                                             \
    ACTIVATION(TANH, 1, 1)                                                                                             \
    ACTIVATION(LEAKY_RELU, 1, 1)                                                                                       \
    ACTIVATION(ELU, 1, 0)                                                                                              \
    ACTIVATION(SIGMOID, 1, 1)                                                                                          \
    ACTIVATION(SOFTPLUS, 0, 0)                                                                                         \
    ACTIVATION(GELU, 0, 0)                                                                                             \
    ACTIVATION(GELU_TANH, 0, 0)                                                                                        \
    ACTIVATION(SILU, 0, 0)                                                                                             \
    ACTIVATION(HARDSWISH, 0, 0)
#define PMC_ACTIVATION_NAME(NAME, monotone, from_y) PMC_##NAME,
typedef enum { PMC_ACTIVATION_KINDS(PMC_ACTIVATION_NAME) PMC_ACTIVATIONS } pmc_activation_kind;

/* alpha: leaky ReLU's slope below 0, ELU's alpha, softplus' beta; threshold: where softplus is taken as linear. */
typedef struct {
    int64_t kind; /* PMC_IDENTITY, ... */
    double alpha, threshold;
} pmc_activation;

/* Convolution + bias + monotone activation + non-overlapping max-pool. `in` has the padding as its border; `out` is
 * what the pool leaves, out.c output channels.
 *   w      [k][kh][kw * c/groups, padded to 16]                   the weights, whose gradient has the same layout
 *   packed [groups][kh][kw][c/groups][k/groups, padded to 16]     derived from them, what the forward pass reads
 * or, where every channel is a group of its own, packed [kh][kw][k, padded to 16], or, by Winograd's method, blocks of 32
 * output channels, [side * side][c * 32 + 16]; the last may have 48. */
typedef struct {
    pmc_image in, out;
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w, groups, pool_h, pool_w;
    pmc_activation activation;
} pmc_conv;

/* Pooling of its own: any stride, padding (top, bottom, left, right) and dilation; windows may reach over the end (ceil mode). The argmax of a
 * window that sees nothing but padding is -1. count_pad: an average counts the zeros of the padding, too. */
typedef struct {
    pmc_image in, out;
    int64_t kh, kw, stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w, count_pad;
} pmc_pool;

/* in -> out features. The weights of a small layer are [out][in, padded], those of a large one [in][pmc_linear_pitch].
 * sparse: x may be mostly zeros, as pictures are. */
typedef struct {
    int64_t in, out, sparse;
} pmc_linear;

/* An activation of its own, on the inside of an image. */
typedef struct {
    pmc_image image;
    pmc_activation activation;
} pmc_elements;

/* A sum of images of one size, whose borders may differ. */
typedef struct {
    pmc_image out, a, b;
} pmc_sum;

/* keep an element when its 32 random bits are at least `threshold`; survivors are multiplied by `scale`. */
typedef struct {
    pmc_image image;
    int64_t threshold, stream;
    double scale;
} pmc_dropout;

/* An array of the caller's, [n][c][h][w] without borders, and the image that it fills or is filled from. */
typedef struct {
    pmc_image image;
    int64_t port;
    double scale, offset;
} pmc_transfer;

typedef enum { PMC_PORT_X, PMC_PORT_Y, PMC_PORT_DY, PMC_PORT_DX, PMC_PORTS } pmc_port;

/* x + std * normal numbers of the stream */
typedef struct {
    pmc_image image;
    int64_t stream;
    double std;
} pmc_noise;

/* Random crop, affine map about the centre, elastic distortion and cutout; each number is the most of it. Angles in
 * radians, shift and elastic in pixels, sigma in pixels, cutout the side of a square in pixels, crop the share of each
 * side that is kept. grid: cells a side of the elastic distortion's spline; 0 where it is blurred by sigma. */
typedef struct {
    pmc_image image;
    int64_t stream, cutout, grid;
    double rotation, shift, scale, stretch, shear, crop_least, crop_most, elastic, sigma, fill;
} pmc_warp;

/* Grey-level dilation by up to so many pixels, or erosion. */
typedef struct {
    pmc_image image;
    int64_t stream;
    double dilation, erosion;
} pmc_morphology;

/* With probability p, a rectangle becomes numbers from low to high. Its area is a share of the picture's, its ratio of
 * height to width is given by its logarithm. */
typedef struct {
    pmc_image image;
    int64_t stream;
    double p, area_least, area_most, ratio_least, ratio_most, low, high;
} pmc_erasing;

/* Batch norm of an image's channels; rectified: and a ReLU behind it. momentum < 0: the average of all steps. Rows of its
 * statistics: PMC_NORM_MEAN... */
typedef struct {
    pmc_image image;
    int64_t rectified;
    double epsilon, momentum;
} pmc_norm;
enum { PMC_MOMENTS_MEAN, PMC_MOMENTS_REST, PMC_MOMENTS_DEVIATION, PMC_MOMENTS_ROWS }; /* of a sample */
enum { PMC_NORM_MEAN, PMC_NORM_INVERSE, PMC_NORM_SCALE, PMC_NORM_BIAS, PMC_NORM_SHIFT, PMC_NORM_ROWS };

/* Softmax over the scores along an axis of (channels, height, width); a flat vector's are channels. */
typedef struct {
    pmc_image image;
    int64_t axis;
} pmc_softmax;
enum { PMC_ALONG_CHANNELS, PMC_ALONG_ROWS, PMC_ALONG_COLUMNS };

typedef struct {
    int64_t classes;
    double smoothing; /* label smoothing, of a loss */
} pmc_classes;

/* A parameter as a flat vector. */
typedef struct {
    int64_t elements;
} pmc_parameter;

/* In an argmax: no gradient flows (ReLU was off). Windows therefore have at most 255 window indices. */
enum { PMC_NO_GRADIENT = 255 };

PMC_INLINE int64_t pmc_blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
PMC_INLINE int64_t pmc_padded(int64_t n) { return pmc_blocks(n, PMC_PAD) * PMC_PAD; }
PMC_INLINE int64_t pmc_image_rows(const pmc_image *s) { return s->top + s->h + s->bottom; }
PMC_INLINE int64_t pmc_image_pitch(const pmc_image *s) { return (s->left + s->w + s->right) * s->c; }

/* Elements from one sample to the next. At least 16 elements of slack follow the picture, since vector loads may read
 * past the end of a row; producers write zeros there and on the border. */
PMC_INLINE int64_t pmc_image_stride(const pmc_image *s) {
    return pmc_padded(pmc_image_rows(s) * pmc_image_pitch(s) + PMC_PAD);
}
/* Bytes from one sample's argmax to the next, with slack for vector loads. */
PMC_INLINE int64_t pmc_argmax_stride(const pmc_image *s) {
    return pmc_blocks(s->h * s->w * s->c + PMC_PAD, PMC_ALIGN) * PMC_ALIGN;
}
/* Flat vectors follow the same rule as a 1 x 1 picture. */
PMC_INLINE int64_t pmc_vector_stride(int64_t n) { return pmc_padded(n + PMC_PAD); }

/* Elements of one filter row of the weights: kw * c/groups, padded. */
PMC_INLINE int64_t pmc_filter_row(const pmc_conv *s) { return pmc_padded(s->kw * (s->in.c / s->groups)); }

/* The last output channels, where they are too few for a vector: they are computed as dot products. */
PMC_INLINE int64_t pmc_conv_dots(const pmc_conv *s) {
    const int64_t few = s->out.c % PMC_PAD;
    return few <= 4 && s->groups == 1 && s->dilation_w == 1 && s->kw * s->in.c >= 2 * PMC_PAD ? few : 0;
}

/* Is every channel a group of its own? */
PMC_INLINE int pmc_conv_depthwise(const pmc_conv *s) {
    return s->groups > 1 && s->groups == s->in.c && s->groups == s->out.c;
}

/* Is it computed by Winograd's method? Then the pixels on a side of a pool window's patch, 4 or 6; otherwise 0. For 5x5
 * filters of many channels it would have several times the error of the definition. */
enum { PMC_WINOGRAD_CHANNELS = 80 };
PMC_INLINE int64_t pmc_conv_winograd(const pmc_conv *s) {
    const int dense = s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 && s->dilation_w == 1;
    const int square = s->kh == s->kw && (s->kh == 3 || (s->kh == 5 && s->in.c <= PMC_WINOGRAD_CHANNELS));
    return dense && square && s->pool_h == 2 && s->pool_w == 2 && s->groups == 1 && s->in.c >= PMC_PAD ? s->kh + 1 : 0;
}

/* A convolution is packed 16 output channels of a group at a time. */
PMC_INLINE int64_t pmc_conv_pack_parts(const pmc_conv *s) {
    if (pmc_conv_depthwise(s)) return pmc_padded(s->out.c) / PMC_PAD;
    return s->groups * (pmc_padded(s->out.c / s->groups) / PMC_PAD);
}
enum { PMC_WINOGRAD_TILES = 28, PMC_WINOGRAD_COLUMNS = 32, PMC_WINOGRAD_MOST = 48 }; /* of a block */
/* Elements of the packed weights. */
PMC_INLINE int64_t pmc_conv_packed(const pmc_conv *s) {
    const int64_t side = pmc_conv_winograd(s), c = s->in.c / s->groups, k = s->out.c / s->groups;
    if (side) return pmc_blocks(k, PMC_WINOGRAD_COLUMNS) * side * side * (c * PMC_WINOGRAD_COLUMNS + PMC_PAD);
    if (pmc_conv_depthwise(s)) return s->kh * s->kw * pmc_padded(s->out.c);
    return s->groups * s->kh * s->kw * c * pmc_padded(k);
}

/* A filter's elements lie in x in runs: a filter row, or a tap of one group. */
PMC_INLINE int pmc_conv_rows_contiguous(const pmc_conv *s) { return s->groups == 1 && s->dilation_w == 1; }
PMC_INLINE int64_t pmc_conv_run(const pmc_conv *s) {
    return (pmc_conv_rows_contiguous(s) ? s->kw : 1) * (s->in.c / s->groups);
}
PMC_INLINE int64_t pmc_conv_runs(const pmc_conv *s) { return s->kh * (pmc_conv_rows_contiguous(s) ? 1 : s->kw); }

/* Factors of bfloat16 in a row of one of AMX' tiles. Of runs of another length, what is left of all is gathered. */
enum { PMC_TILE_FACTORS = 32 };
PMC_INLINE int64_t pmc_gathered(int64_t runs, int64_t run) {
    return pmc_blocks(runs * (run % PMC_TILE_FACTORS), PMC_TILE_FACTORS) * PMC_TILE_FACTORS;
}

/* Pixels of x from the first to the last of a patch. */
PMC_INLINE int64_t pmc_conv_width(const pmc_conv *s) { return s->in.left + s->in.w + s->in.right; }
PMC_INLINE int64_t pmc_conv_reach(const pmc_conv *s) {
    return (s->kh - 1) * s->dilation_h * pmc_conv_width(s) + (s->kw - 1) * s->dilation_w;
}

/* Are gradients spread over x for tiles? One in four of its pixels carries one, or more. */
PMC_INLINE int pmc_conv_spread(const pmc_conv *s) {
    return s->groups == 1 && s->in.c > 1 && s->pool_h * s->pool_w * s->stride_h * s->stride_w <= 4;
}
PMC_INLINE int64_t pmc_conv_spread_pitch(int64_t channels) {
    return pmc_blocks(channels, PMC_TILE_FACTORS) * PMC_TILE_FACTORS;
}

/* Elements, in bfloat16: of the packed weights, of which tiles take a multiple of 16 rows; of what the gradient of
 * the input reads, which lies behind them: filters, or, for tiles, words of them; and what both gradients need for
 * tiles. */
PMC_INLINE int64_t pmc_conv_words(const pmc_conv *s) {
    if (pmc_conv_depthwise(s)) return pmc_conv_packed(s);
    return pmc_conv_packed(s) + s->groups * PMC_PAD * pmc_padded(s->out.c / s->groups);
}
PMC_INLINE int64_t pmc_conv_filters(const pmc_conv *s) {
    const int64_t filters = s->out.c * s->kh * pmc_filter_row(s);
    const int64_t turned = s->kh * s->kw * pmc_conv_spread_pitch(s->out.c) / 2 * pmc_padded(s->in.c);
    return pmc_conv_spread(s) && turned > filters ? turned : filters;
}
PMC_INLINE int64_t pmc_conv_spread_room(const pmc_conv *s) {
    const int64_t pixels = pmc_conv_reach(s) + pmc_image_rows(&s->in) * pmc_conv_width(s) + PMC_TILE_FACTORS;
    const int64_t of_weights =
        pmc_padded(pixels * s->in.c) + PMC_PAD + s->out.c * (pixels / 2 + pmc_padded(pmc_conv_run(s)));
    const int64_t of_input = pixels * pmc_padded(s->in.c);
    return pixels * pmc_conv_spread_pitch(s->out.c) / 2 + (of_weights > of_input ? of_weights : of_input);
}

/* Are the input gradient's sums made apart from it, of PMC_APART output pixels at a time, in full precision? Where
 * filters are larger than L1, twice over, and window indices so few that the sums are not too many. */
enum { PMC_APART = 16, PMC_APART_INDICES = 16 };
PMC_INLINE int pmc_conv_apart(const pmc_conv *s, int64_t real_bytes) {
    return s->groups == 1 && s->pool_h * s->pool_w <= PMC_APART_INDICES &&
           s->out.c * s->kh * pmc_filter_row(s) * real_bytes > 96 * 1024;
}

/* Do patches begin at any quarter of a line of memory, and are their rows so long that this takes time, but no longer than
 * there is code for? Then the weight gradient takes those of each quarter by themselves, of half as many output pixels at a
 * time. */
enum { PMC_QUARTERS = 4, PMC_QUARTER = PMC_PAD / PMC_QUARTERS, PMC_QUARTERS_LINES = 8 };
PMC_INLINE int pmc_conv_quarters(const pmc_conv *s) {
    const int64_t lines = pmc_blocks(pmc_conv_run(s) + PMC_PAD - PMC_QUARTER, PMC_PAD);
    return pmc_conv_rows_contiguous(s) && s->in.c % PMC_PAD && s->in.c % PMC_QUARTER == 0 &&
           pmc_image_pitch(&s->in) % PMC_PAD == 0 && lines > 3 && lines <= PMC_QUARTERS_LINES;
}

/* Radius of the elastic distortion's blur, in pixels. */
PMC_INLINE int64_t pmc_warp_radius(const pmc_warp *s) {
    return s->elastic != 0 && s->grid == 0 ? (int64_t)(3 * s->sigma) + 1 : 0;
}
/* Control points of its spline along an axis: those around every cell. */
PMC_INLINE int64_t pmc_warp_points(const pmc_warp *s) { return s->grid + 3; }

/* A sample's places. With a spline: its points, and their rows at every pixel; with a blur: a raw and a smooth field,
 * the taps, and what it reads with its border of zeros. */
PMC_INLINE int64_t pmc_warp_field(const pmc_warp *s) {
    const int64_t h = s->image.h, w = s->image.w, radius = pmc_warp_radius(s), points = pmc_warp_points(s);
    if (s->elastic == 0) return 2 * h * w;
    return 2 * h * w +
           (s->grid ? 2 * points * (points + w) : 2 * h * w + radius + 1 + (h + 2 * radius) * (w + 2 * radius));
}

/* A picture with a margin of one pixel, and slack for vector loads. */
PMC_INLINE int64_t pmc_morphology_picture(const pmc_image *s) { return (s->h + 2) * (s->w + 2) * s->c + PMC_PAD; }

/* How work is cut: output pixels whose nonzero gradients a weight gradient lists at a time (their x is in L1); elements
 * of a part that updates, and of one that adds up squares; a tile of a large linear layer's products. */
enum { PMC_NONZEROS = 96, PMC_UPDATED = 4096, PMC_SQUARES = 8192 };
enum { PMC_TILE_ROWS = 84, PMC_TILE_COLUMNS = 32, PMC_TILE_BAND = 28 };
enum { PMC_PACKED_COLUMNS = 64 }; /* of a factor that is packed to bfloat16, at a time */

/* Words of bfloat16 that a column of a linear layer's weights takes: whole tiles of AMX. */
PMC_INLINE int64_t pmc_linear_depth(const pmc_linear *s) { return pmc_padded(pmc_blocks(s->in, 2)); }

/* From a row of a large linear layer's weights to the next. A product reads columns: of rows that are a multiple of 512
 * bytes apart, these would share a few sets of the caches. Rows of 512 are short enough for that, and for their updates. */
PMC_INLINE int64_t pmc_linear_pitch(const pmc_linear *s) {
    const int64_t row = pmc_padded(s->out);
    return row > 128 && row % 128 == 0 ? row + PMC_PAD : row;
}

/* For y, x, what x is packed to, and the weights, in one precision or the other. */
PMC_INLINE int64_t pmc_products_elements(const pmc_linear *s, int64_t n) {
    const int64_t depth = pmc_linear_depth(s);
    return n * (pmc_vector_stride(s->out) + 2 * pmc_vector_stride(s->in)) +
           (s->in > depth ? s->in : depth) * pmc_linear_pitch(s);
}

/* Columns of a forward tile: a few samples read the weights once, and read longer pieces of their rows; for one, they
 * are read as fast as memory gives them: pieces are as long as they can be for so many parts. */
PMC_INLINE int64_t pmc_tile_columns(int64_t n, int64_t out, int64_t threads) {
    if (n == 1) return pmc_padded(pmc_blocks(out, threads));
    return n <= 6 ? 2 * PMC_TILE_COLUMNS : PMC_TILE_COLUMNS;
}
