/* Winograd's convolution: 3x3 and 5x5 filters whose outputs are pooled 2x2 (Lavin and Gray 2016, arXiv:1509.09308).
 *
 * The 2x2 outputs of a pool window come from a patch of side x side pixels, side = 3 + 1 or 5 + 1. Patch and filter are
 * transformed (each polynomial of its rows and columns is evaluated at 0, at 1, -1, or, for 5x5, at 3/2, -3/2, 2/3,
 * -2/3, and at infinity); there a convolution is a product point by point, so that each point is a matrix product over
 * the channels,
 *
 *   products[point][tile][k] = sum over c of patches[point][tile][c] * packed[block of k][point][c][k]
 *
 * and comes back with a few additions. That takes 16 multiplications where the 2x2 outputs had 36, or 36 for 100. The
 * outputs are rounded otherwise than the sum of the definition, not worse for 3x3; for 5x5 these points, each other's
 * reciprocals, have 1.6 times its error (0, 1, -1, 2, -2: four times). Where something becomes infinite or NaN, be it in
 * between, a window is computed by the definition. */
#pragma once
#include "conv_pool.h"
#include "gemm.h"
#include "transpose.h"

/* The points of 5x5: A and B = 1 / A, with either sign. */
#define POINT_A ((real)1.5)
#define POINT_B ((real)(2.0 / 3))
#define A_SQUARED ((real)2.25)
#define B_SQUARED ((real)(4.0 / 9))
#define BOTH_SQUARED ((real)(2.25 + 4.0 / 9))
#define OVER_A ((real)(1 / (2 * 2.25 * (2.25 - 4.0 / 9)))) /* what the taps' polynomial is divided by, there */
#define OVER_B ((real)(1 / (2 * 4.0 / 9 * (4.0 / 9 - 2.25))))

/* In place, d[0], d[step], ... d[(side - 1) * step]: pixels -> points. */
INLINE void winograd_pixels(const int side, vf *d, const int step) {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (side == 4) {
        d[0] = d0 - d2;
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
        d[3 * step] = d1 - d3;
        return;
    }
    const vf d4 = d[4 * step], d5 = d[5 * step], a = v_splat(POINT_A), b = v_splat(POINT_B);
    const vf minus_aa = v_splat(-A_SQUARED), minus_bb = v_splat(-B_SQUARED), minus_both = v_splat(-BOTH_SQUARED);
    const vf even_a = v_fma(minus_bb, d2, d4), odd_a = v_fma(minus_bb, d1, d3);
    const vf even_b = v_fma(minus_aa, d2, d4), odd_b = v_fma(minus_aa, d1, d3);
    d[0] = v_fma(minus_both, d2, d4) + d0;
    d[step] = v_fma(a, odd_a, even_a);
    d[2 * step] = v_fma(-a, odd_a, even_a);
    d[3 * step] = v_fma(b, odd_b, even_b);
    d[4 * step] = v_fma(-b, odd_b, even_b);
    d[5 * step] = v_fma(minus_both, d3, d5) + d1;
}

/* In place, side - 1 taps -> side points. */
INLINE void winograd_taps(const int side, vf *g, const int step) {
    const vf g0 = g[0], g1 = g[step], g2 = g[2 * step];
    if (side == 4) {
        const vf even = (g0 + g2) * v_splat((real)0.5), odd = g1 * v_splat((real)0.5);
        g[step] = even + odd;
        g[2 * step] = even - odd;
        g[3 * step] = g2;
        return;
    }
    const vf g3 = g[3 * step], g4 = g[4 * step], aa = v_splat(A_SQUARED), bb = v_splat(B_SQUARED);
    const vf even_a = v_fma(aa, v_fma(aa, g4, g2), g0) * v_splat(OVER_A);
    const vf odd_a = v_fma(aa, g3, g1) * v_splat(POINT_A * OVER_A);
    const vf even_b = v_fma(bb, v_fma(bb, g4, g2), g0) * v_splat(OVER_B);
    const vf odd_b = v_fma(bb, g3, g1) * v_splat(POINT_B * OVER_B);
    g[step] = even_a + odd_a;
    g[2 * step] = even_a - odd_a;
    g[3 * step] = even_b + odd_b;
    g[4 * step] = even_b - odd_b;
    g[5 * step] = g4;
}

/* In place, side points -> 2 outputs. */
INLINE void winograd_outputs(const int side, vf *m, const int step) {
    const vf sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    if (side == 4) {
        m[0] = m[0] + sum;
        m[step] = difference - m[3 * step];
        return;
    }
    const vf sum_b = m[3 * step] + m[4 * step], difference_b = m[3 * step] - m[4 * step];
    m[0] = m[0] + sum + sum_b;
    m[step] = v_fma(v_splat(POINT_A), difference, v_fma(v_splat(POINT_B), difference_b, m[5 * step]));
}

/* A block of the packed weights' columns. */
typedef struct {
    int64_t first, width;
} winograd_columns;

/* That of output channel o: the last block has 16 more, rather than that a vector is left by itself. */
INLINE winograd_columns winograd_columns_of(const pmc_conv *s, int64_t o) {
    const int64_t k = pmc_padded(s->out.c), last = MAX(1, k / PMC_WINOGRAD_COLUMNS) - 1;
    const int64_t block = MIN(o / PMC_WINOGRAD_COLUMNS, last), first = block * PMC_WINOGRAD_COLUMNS;
    return (winograd_columns){first, block == last ? k - first : PMC_WINOGRAD_COLUMNS};
}

/* Elements from a point to the next, of patches and of a block of the packed weights: not a power of 2, since so
 * many points are written in turns that they would fight for the same lines of L1. */
INLINE int64_t patches_apart(const pmc_conv *s) { return PMC_WINOGRAD_TILES * pmc_padded(s->in.c) + PMC_PAD; }
INLINE int64_t packed_apart(const pmc_conv *s, winograd_columns block) { return s->in.c * block.width + PMC_PAD; }

INLINE real *packed_block(const real *packed, const pmc_conv *s, int points, winograd_columns block) {
    return (real *)packed + block.first * points * s->in.c + block.first / PMC_WINOGRAD_COLUMNS * points * PMC_PAD;
}

/* packed <- w [k][kh][kw * c, padded], times scale [k] or NULL: 16 output channels from `first`, n of which there are.
 */
INLINE void winograd_pack_block(const int side, real *packed, const real *w, const real *scale, const pmc_conv *s,
                                int64_t first, int64_t n) {
    enum { SIDE_MAX = 6, TAPS_MAX = 25 };
    const int taps = side - 1;
    const int64_t c = s->in.c, row = pmc_filter_row(s), filter = s->kh * row;
    const winograd_columns block = winograd_columns_of(s, first);
    real *to = packed_block(packed, s, side * side, block) + first - block.first;
    real turned[TAPS_MAX][VL * PMC_PAD]; /* [taps][c][k] of a vector of input channels */
    for (int64_t from = 0; from < c; from += VL) {
        const int64_t channels = MIN(VL, c - from);
        for (int i = 0; i < taps; i++)
            for (int j = 0; j < taps; j++)
                transpose(turned[i * taps + j], w + first * filter + i * row + j * c + from, n, channels, PMC_PAD,
                          PMC_PAD, filter);
        for (int64_t e = 0; e < channels * PMC_PAD; e += VL) {
            const int64_t o = first + e % PMC_PAD;
            const vf factor = scale ? v_load_n(scale + o, MAX(first + n - o, 0)) : v_splat(1);
            vf g[SIDE_MAX * SIDE_MAX];
            for (int i = 0; i < taps; i++) {
                for (int j = 0; j < taps; j++) g[i * side + j] = v_load(turned[i * taps + j] + e) * factor;
                winograd_taps(side, g + i * side, 1);
            }
            for (int j = 0; j < side; j++) winograd_taps(side, g + j, side);
            for (int point = 0; point < side * side; point++)
                v_store(to + point * packed_apart(s, block) + (from + e / PMC_PAD) * block.width + e % PMC_PAD,
                        g[point]);
        }
    }
}

static void winograd_pack(real *packed, const real *w, const real *scale, const pmc_conv *s, int64_t task) {
    const int64_t first = task * PMC_PAD, n = MIN(PMC_PAD, s->out.c - first);
    if (pmc_conv_winograd(s) == 4) winograd_pack_block(4, packed, w, scale, s, first, n);
    else winograd_pack_block(6, packed, w, scale, s, first, n);
}

/* patches [points][PMC_WINOGRAD_TILES][c, padded], of one tile, <- the patch at x */
INLINE void winograd_patch(const int side, real *patches, const real *x, const pmc_conv *s) {
    /* as variables: for all the compiler knows, a store could change the shape */
    const int64_t channels = s->in.c, pitch = pmc_image_pitch(&s->in), apart = patches_apart(s);
    for (int64_t e = 0; e < channels; e += VL) {
        vf d[36];
        const real *row = x + e;
#pragma GCC unroll 6
        for (int i = 0; i < side; i++, row = one_pointer(row + pitch)) {
            const real *at = row;
#pragma GCC unroll 6
            for (int j = 0; j < side; j++, at += channels) d[i * side + j] = v_load(at);
            winograd_pixels(side, d + i * side, 1);
        }
        real *to = patches + e;
#pragma GCC unroll 6
        for (int j = 0; j < side; j++) {
            winograd_pixels(side, d + j, side);
            real *at = to + j * apart;
#pragma GCC unroll 6
            for (int i = 0; i < side; i++, at += side * apart) v_store(at, d[i * side + j]);
        }
    }
}

/* y [n], argmax [n] or NULL <- products [points][PRODUCTS] of one tile, b [n] or NULL; returns 1 if all was finite, and
 * the sum of a window, too. */
enum { PRODUCTS = PMC_WINOGRAD_TILES * PMC_WINOGRAD_MOST }; /* a constant: loads then need no address of their own */
INLINE int winograd_window(const int side, const int relu, real *y, uint8_t *argmax, const real *products,
                           const real *b, const real *norm, const pmc_conv *s, int64_t n) {
    vf finite = (vf){0};
    for (int64_t e = 0; e < n; e += VL) {
        const vf bias = b ? v_load(b + e) : (vf){0};
        vf m[36];
        for (int j = 0; j < side; j++) {
            for (int i = 0; i < side; i++) m[i * side + j] = v_load(products + (i * side + j) * PRODUCTS + e);
            winograd_outputs(side, m + j, side);
        }
        for (int i = 0; i < 2; i++) winograd_outputs(side, m + i * side, 1);
        const best_of above = better(1, single(m[0] + bias, 0), single(m[1] + bias, 1));
        const best_of below = better(1, single(m[side] + bias, 2), single(m[side + 1] + bias, 3));
        finite += v_finite(m[0] + m[1] + (m[side] + m[side + 1]) + bias);
        conv_keep(y + e, argmax ? argmax + e : NULL,
                  conv_normed(relu, better(1, above, below), norm ? norm + e : NULL, s), n - e);
    }
    if (!relu) activate(y, y, n, &s->activation);
    return all_finite(finite);
}

/* What a convolution's outputs are made of: w and scale as winograd_pack has them, norm as conv_keep has it. */
typedef struct {
    const real *packed, *b, *w, *scale, *norm;
} winograd_filters;

/* y [k] and argmax [k] or NULL of one window, whose patch begins at x, by the definition. */
static void defined_window(real *y, uint8_t *argmax, const real *x, const winograd_filters *f, const pmc_conv *s,
                           int64_t first, int64_t last) {
    const int64_t c = s->in.c, pitch = pmc_image_pitch(&s->in), row = pmc_filter_row(s);
    for (int64_t e = first; e < last; e += VL) {
        best_of best;
        for (int window = 0; window < 4; window++) {
            const real *patch = x + window / 2 * pitch + window % 2 * c;
            vf sum = f->b ? v_load(f->b + e) : (vf){0}, weight = (vf){0};
            for (int64_t i = 0; i < s->kh; i++)
                for (int64_t at = 0; at < s->kw * c; at++) {
                    for (int l = 0; l < MIN(VL, last - e); l++)
                        weight[l] = f->w[((e + l) * s->kh + i) * row + at] * (f->scale ? f->scale[e + l] : 1);
                    sum = v_fma(v_splat(patch[i * pitch + at]), weight, sum);
                }
            best = window ? better(0, best, single(sum, window)) : single(sum, 0);
        }
        conv_keep(y + e, argmax ? argmax + e : NULL, conv_normed(conv_relu(s), best, f->norm ? f->norm + e : NULL, s),
                  last - e);
    }
    if (!conv_relu(s)) activate(y + first, y + first, last - first, &s->activation);
}

/* Tiles begin to end - 1 of all windows of a few pictures, at most PMC_WINOGRAD_TILES of them. */
INLINE void winograd_block(const int side, const int relu, real *y, uint8_t *argmax, const real *x,
                           const winograd_filters *f, const pmc_conv *s, int64_t begin, int64_t end, int64_t first,
                           int64_t last, real *workspace) {
    const int64_t c = pmc_padded(s->in.c), k = s->out.c;
    const int points = side * side;
    real *patches = workspace, *products = patches + points * patches_apart(s);
    real *y_of[PMC_WINOGRAD_TILES];
    uint8_t *argmax_of[PMC_WINOGRAD_TILES];
    const real *x_of[PMC_WINOGRAD_TILES];
    int finite[PMC_WINOGRAD_TILES];
    gemm_shape product = {.rows = 1, .columns = 1, .length = s->in.c, .pixel = c, .step = 1};
    out_pixel at = out_pixel_of(s, begin);
    for (int64_t tile = 0; tile < end - begin; tile++, next_out_pixel(&at, s)) {
        y_of[tile] = image_inside(y, &s->out) + at.picture * pmc_image_stride(&s->out) +
                     at.y * pmc_image_pitch(&s->out) + at.x * k;
        argmax_of[tile] =
            argmax ? argmax + at.picture * pmc_argmax_stride(&s->out) + (at.y * s->out.w + at.x) * k : NULL;
        x_of[tile] = x + at.picture * pmc_image_stride(&s->in) + conv_patch_of(s, at.y, at.x);
        finite[tile] = 1;
        winograd_patch(side, patches + tile * c, x_of[tile], s);
    }
    for (int64_t from = first, n; from < last; from += n) {
        const winograd_columns block = winograd_columns_of(s, from);
        const real *packed = packed_block(f->packed, s, points, block) + from - block.first;
        product.w_pitch = product.out_pitch = block.width;
        n = MIN(block.first + block.width, last) - from;
        for (int point = 0; point < points; point++)
            gemm(products + point * PRODUCTS, patches + point * patches_apart(s),
                 packed + point * packed_apart(s, block), NULL, end - begin, (n + VL - 1) / VL * VL, &product);
        for (int64_t tile = 0; tile < end - begin; tile++)
            finite[tile] &= winograd_window(side, relu, y_of[tile] + from, argmax ? argmax_of[tile] + from : NULL,
                                            products + tile * block.width, f->b ? f->b + from : NULL,
                                            f->norm ? f->norm + from : NULL, s, n);
    }
    for (int64_t tile = 0; tile < end - begin; tile++)
        if (!finite[tile]) defined_window(y_of[tile], argmax_of[tile], x_of[tile], f, s, first, last);
}

/* As conv_forward. */
static void winograd_forward(real *y, uint8_t *argmax, const real *x, const winograd_filters *f, const pmc_conv *s,
                             const pmc_piece *piece, real *workspace) {
    const int64_t tiles = (piece->last_row - piece->first_row) * s->out.w, first_tile = piece->first_row * s->out.w;
    const int64_t blocks = (tiles + PMC_WINOGRAD_TILES - 1) / PMC_WINOGRAD_TILES, h = s->out.h;
    const int64_t first = piece->channels.first, last = piece->channels.last;
    const int relu = conv_relu(s), small = pmc_conv_winograd(s) == 4;
    for (int64_t i = (piece->first_row + h - 1) / h; first == 0 && i * h < piece->last_row; i++)
        image_clear_border(y + i * pmc_image_stride(&s->out), &s->out);
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t begin = first_tile + block * tiles / blocks, end = first_tile + (block + 1) * tiles / blocks;
        if (small && relu) winograd_block(4, 1, y, argmax, x, f, s, begin, end, first, last, workspace);
        else if (small) winograd_block(4, 0, y, argmax, x, f, s, begin, end, first, last, workspace);
        else if (relu) winograd_block(6, 1, y, argmax, x, f, s, begin, end, first, last, workspace);
        else winograd_block(6, 0, y, argmax, x, f, s, begin, end, first, last, workspace);
    }
}
