/* How a row of a convolution's pixels is computed on tiles: what conv_rows.h does in registers. A picture has
 * factors of 16 bits, whose rows are a tile's rows as they lie there; filters are packed in the order that
 * amx_product.h takes. */
#pragma once
#include "amx_product.h"
#include "transpose.h"

INLINE int64_t conv_dots(const pmc_conv *s) { return (void)s, 0; }

/* Columns of the packed weights: output channels of a group in lanes. */
INLINE int64_t conv_columns(const pmc_conv *s) {
    return pmc_padded(pmc_conv_depthwise(s) ? s->out.c : s->out.c / s->groups);
}

INLINE tile_shape conv_terms(const pmc_conv *s, int64_t out_pitch) {
    return (tile_shape){.rows = s->kh,
                        .columns = pmc_conv_runs(s) / s->kh,
                        .length = pmc_conv_run(s),
                        .pixel = s->stride_w * s->in.c,
                        .row = s->dilation_h * pmc_image_pitch(&s->in),
                        .column = s->dilation_w * s->in.c,
                        .w_pitch = conv_columns(s),
                        .out_pitch = out_pitch};
}

/* Reals of a group's packed words. */
INLINE int64_t conv_group_packed(const pmc_conv *s) {
    const tile_shape terms = conv_terms(s, 0);
    return tile_words(&terms) * conv_columns(s);
}

/* packed [words][pitch] <- n output channels of w [n][kh][kw * c/g, padded], at most 16, times scale */
static void conv_pack_words(real *packed, const real *w, const real *scale, const pmc_conv *s, int64_t n,
                            int64_t pitch) {
    const tile_shape terms = conv_terms(s, 0);
    const int64_t row = pmc_filter_row(s), filter = s->kh * row, run = terms.length, a_row = terms.columns;
    const int64_t whole = tile_whole(&terms), left = tile_left(&terms), runs = terms.rows * a_row;
    for (int64_t step = 0; step < tile_words(&terms) / TILE; step++, packed += TILE * pitch) {
        real words[TILE][TILE];
        for (int64_t o = 0; o < n; o++, w += filter) {
            real numbers[TILE_FACTORS] = {0};
            if (step < runs * whole) {
                const int64_t at = step / whole;
                memcpy(numbers, w + at / a_row * row + at % a_row * run + step % whole * TILE_FACTORS, sizeof numbers);
            } else {
                const int64_t first = (step - runs * whole) * TILE_FACTORS;
                for (int64_t e = 0, at; e < MIN(TILE_FACTORS, runs * left - first); e++) {
                    at = (first + e) / left;
                    numbers[e] = w[at / a_row * row + at % a_row * run + whole * TILE_FACTORS + (first + e) % left];
                }
            }
            for (int v = 0; v < TILE_FACTORS; v += VL)
                v_store(numbers + v, v_load(numbers + v) * v_splat(scale ? scale[o] : 1));
            v_store(words[o], v_neighbours(numbers));
        }
        w -= n * filter;
        transpose(packed, words[0], n, TILE, TILE, pitch, TILE);
    }
}

/* What the gradient of the input reads of 16 output channels of w [k][kh][kw * c/g, padded], from `first` on: their
 * factors as they are; or turned, words of two channels, [kh][kw][k / 2, padded to tiles][c, padded]. */
static void conv_pack_filters(real *packed, const real *w, const pmc_conv *s, int64_t first, int64_t n) {
    const int64_t c = s->in.c, k = s->out.c, columns = pmc_padded(c), row = pmc_filter_row(s), filter = s->kh * row;
    const int64_t pairs = pmc_conv_spread_pitch(k) / 2, last = first + n == k ? 2 * pairs : first + n;
    if (!pmc_conv_spread(s)) {
        for (int64_t e = first * filter; e < (first + n) * filter; e += VL)
            v_store_factors((factor *)packed + e, v_load(w + e));
        return;
    }
    for (int64_t tap = 0; tap < s->kh * s->kw; tap++) {
        const real *from = w + tap / s->kw * row + tap % s->kw * c;
        real *to = packed + (s->kh * s->kw - 1 - tap) * pairs * columns;
        for (int64_t o = first; o < last; o += 2)
            for (int64_t e = 0; e < columns; e += VL) {
                const vf one = o < k ? v_load_n(from + o * filter + e, c - e) : (vf){0};
                const vf other = o + 1 < k ? v_load_n(from + (o + 1) * filter + e, c - e) : (vf){0};
                v_store(to + o / 2 * columns + e, v_pair(one, other));
            }
    }
}

/* A picture's factors, in `room`. */
typedef factor conv_element;
INLINE const conv_element *conv_picture(const real *x, const pmc_conv *s, real *room) {
    for (int64_t e = 0; e < pmc_image_rows(&s->in) * pmc_image_pitch(&s->in); e += VL)
        v_store_factors((factor *)room + e, v_load(x + e));
    return (factor *)room;
}

typedef struct {
    tile_shape terms;
    factor *room;
    int64_t columns; /* of a group: its channels, padded */
    int64_t groups, group_x, group_rows, group_packed;
} conv_products;

static conv_products conv_products_of(const pmc_conv *s, int64_t pitch, real *room) {
    return (conv_products){.terms = conv_terms(s, pitch),
                           .room = (factor *)room,
                           .columns = conv_columns(s),
                           .groups = s->groups,
                           .group_x = s->in.c / s->groups,
                           .group_rows = s->out.c / s->groups,
                           .group_packed = conv_group_packed(s)};
}

/* rows [pixels][pitch] <- output channels first to last - 1 of a row of pixels of x */
static void conv_row(real *rows, const conv_element *x, const real *packed, const real *b, int64_t pixels,
                     const conv_products *s, int64_t first, int64_t last) {
    tiles_shape(tile_rows_of(pixels));
    for (int64_t group = 0; group < s->groups; group++) /* a group's padding is overwritten by the next */
        tile_gemm(rows + group * s->group_rows + first, x + group * s->group_x,
                  packed + group * s->group_packed + first, b ? b + group * s->group_rows + first : NULL, pixels,
                  pmc_padded(MIN(last, s->group_rows) - first), s->room, &s->terms);
}
INLINE void conv_rows_end(void) { tiles_release(); }
