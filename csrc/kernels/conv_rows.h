/* How a row of a convolution's pixels is computed: in registers, by gemm.h and dots.h, from packed filters and, in bfloat16,
 * a picture of words: a filter row, or a tap, is a row of words, the last perhaps half empty; a picture has a word for
 * every element, which is that and the next one. amx_conv.h is the same on tiles. */
#pragma once
#include "conv_single.h"
#include "dots.h"
#include "gemm.h"
#include "transpose.h"

INLINE int64_t conv_dots(const pmc_conv *s) { return PAIR > 1 ? 0 : pmc_conv_dots(s); }

/* Columns of the packed weights: output channels of a group in lanes. */
INLINE int64_t conv_columns(const pmc_conv *s) {
    return pmc_padded((pmc_conv_depthwise(s) ? s->out.c : s->out.c / s->groups) - conv_dots(s));
}

/* Reals of a group's packed words. */
INLINE int64_t conv_group_packed(const pmc_conv *s) {
    return pmc_conv_runs(s) * words_of(pmc_conv_run(s)) * conv_columns(s);
}

/* packed [runs][words of a run][pitch] <- n output channels of w [n][kh][kw * c/g, padded], at most 16, times scale */
static void conv_pack_words(real *packed, const real *w, const real *scale, const pmc_conv *s, int64_t n,
                            int64_t pitch) {
#if PMC_BF16
    const int64_t run = pmc_conv_run(s), runs = pmc_conv_runs(s), row = pmc_filter_row(s), filter = s->kh * row;
    for (int64_t i = 0; i < runs; i++, packed += words_of(run) * pitch) {
        const real *from = w + i / (runs / s->kh) * row + i % (runs / s->kh) * run;
        for (int64_t e = 0; e < run; e += 2 * PMC_PAD) {
            real numbers[2 * PMC_PAD], words[PMC_PAD][PMC_PAD];
            for (int64_t o = 0; o < n; o++) {
                for (int v = 0; v < 2 * PMC_PAD; v += VL)
                    v_store(numbers + v,
                            v_load_n(from + o * filter + e + v, MAX(run - e - v, 0)) * v_splat(scale ? scale[o] : 1));
                for (int v = 0; v < PMC_PAD; v += VL) v_store(words[o] + v, v_neighbours(numbers + 2 * v));
            }
            transpose(packed + e / 2 * pitch, words[0], n, MIN(PMC_PAD, words_of(run - e)), PMC_PAD, pitch, PMC_PAD);
        }
    }
#else
    (void)packed, (void)w, (void)scale, (void)s, (void)n, (void)pitch;
#endif
}

/* The factors of n output channels, from `first` on, which the gradient of the input reads. */
static void conv_pack_filters(real *filters, const real *w, const pmc_conv *s, int64_t first, int64_t n) {
    const int64_t filter = s->kh * pmc_filter_row(s);
    for (int64_t e = first * filter; e < (first + n) * filter; e += VL)
        v_store_factors((factor *)filters + e, v_load(w + e));
}

/* x, or a picture's words, in `room`. */
typedef real conv_element;
INLINE const conv_element *conv_picture(const real *x, const pmc_conv *s, real *room) {
#if PMC_BF16
    for (int64_t e = 0; e < pmc_image_rows(&s->in) * pmc_image_pitch(&s->in); e += VL)
        v_store(room + e, v_words(x + e));
    return room;
#else
    return (void)s, (void)room, x;
#endif
}

/* How a row of pixels is convolved: lanes, then the few channels that are dot products. */
typedef struct {
    gemm_shape lanes;
    dot_shape dots;
    int64_t columns, few; /* of a group: channels in lanes, padded, and those behind them */
    int64_t groups, group_x, group_rows, group_packed;
    int single;
    single_taps taps;
} conv_products;

static conv_products conv_products_of(const pmc_conv *s, int64_t pitch, real *room) {
    const int64_t c = s->in.c / s->groups, row = pmc_filter_row(s), x_row = s->dilation_h * pmc_image_pitch(&s->in);
    const int64_t columns = conv_columns(s), run = pmc_conv_run(s);
    (void)room;
    conv_products products = {.lanes = {.rows = s->kh,
                                        .columns = pmc_conv_runs(s) / s->kh,
                                        .length = run / PAIR,
                                        .odd = run % PAIR,
                                        .pixel = s->stride_w * s->in.c,
                                        .row = x_row,
                                        .column = s->dilation_w * s->in.c,
                                        .step = PAIR,
                                        .w_pitch = columns,
                                        .out_pitch = pitch},
                              .dots = {.rows = s->kh,
                                       .length = s->kw * c,
                                       .x_pitch = s->stride_w * c,
                                       .x_row = x_row,
                                       .w_pitch = s->kh * row,
                                       .w_row = row,
                                       .out_pitch = pitch},
                              .columns = columns,
                              .few = conv_dots(s),
                              .groups = s->groups,
                              .group_x = c,
                              .group_rows = s->out.c / s->groups,
                              .group_packed = conv_group_packed(s),
                              .single = conv_is_single(s)};
    if (products.single) single_taps_of(&products.taps, s, pitch);
    return products;
}

/* rows [pixels][pitch] <- output channels first to last - 1 of a row of pixels of x */
static void conv_row(real *rows, const conv_element *x, const real *packed, const real *b, int64_t pixels,
                     const conv_products *products, int64_t first, int64_t last) {
    const int64_t groups = products->groups, k = products->group_rows, columns = products->columns;
    if (products->single) {
        single_row(rows, x, packed, b, pixels, &products->taps);
        return;
    }
    for (int64_t group = 0; group < groups; group++) /* a group's padding is overwritten by the next */
        gemm(rows + group * k + first, x + group * products->group_x, packed + group * products->group_packed + first,
             b ? b + group * k + first : NULL, pixels, (MIN(MIN(last, k), columns) - first + VL - 1) / VL * VL,
             &products->lanes);
    if (products->few && last == k)
        dots(rows + columns, x, packed + products->group_packed, b ? b + columns : NULL, pixels, products->few,
             &products->dots);
}
INLINE void conv_rows_end(void) {}
