/* The convolution block's gradients: sparse, exactly. In a pool window only one output carries a gradient, and none
 * where ReLU was off. Both gradients are then sums of scaled patches (patch.h):
 *
 *   dw[co]     = sum over output pixels of dy[pixel][co] * x[patch at the argmax]
 *   dx[patch] += sum over co with that argmax of dy[pixel][co] * w[co]
 *
 * In words of bfloat16, too: x and w are rounded before, dy while the lists are made.
 *
 * A block without pool or ReLU is the case where every window index carries a gradient. Where every channel is a
 * group of its own (depthwise), and in the first layer, lanes go across channels instead (conv_taps.h). On tiles
 * zeros are multiplied, too, as long as they are few: amx_conv_gradient.h. */
#pragma once
#include "conv.h"
#include "conv_taps.h"
#include "patch_quarters.h"
#if PMC_TILES
#include "amx_conv_gradient.h"
#endif

/* Where the patch of each window index lies from that of the first; 0 for what is no window index: then memory is
 * safe whatever an argmax holds. */
static void conv_window_offsets(int32_t at[PMC_NO_GRADIENT + 1], const pmc_conv *s) {
    memset(at, 0, (PMC_NO_GRADIENT + 1) * sizeof *at);
    for (int64_t i = 0; i < s->pool_h; i++)
        for (int64_t j = 0; j < s->pool_w; j++)
            at[i * s->pool_w + j] = (int32_t)(i * s->stride_h * pmc_image_pitch(&s->in) + j * s->stride_w * s->in.c);
}

/* db [k] (+)= the sum over living output pixels of dy; channels first to last - 1 */
static void conv_bias_gradient(real *db, const real *dy, const uint8_t *argmax, const pmc_conv *s, int64_t n,
                               int opening, int64_t first, int64_t last) {
    const int64_t k = s->out.c, pitch = pmc_image_pitch(&s->out);
    for (int64_t co = first; co < last; co += VL) {
        vf all = opening ? (vf){0} : v_load(db + co);
        for (int64_t i = 0; i < n; i++)
            for (int64_t oy = 0; oy < s->out.h; oy++) {
                vf sum = (vf){0};
                const real *g = dy + i * pmc_image_stride(&s->out) + (s->out.top + oy) * pitch + s->out.left * k + co;
                const uint8_t *a = argmax + i * pmc_argmax_stride(&s->out) + oy * s->out.w * k + co;
                for (int64_t ox = 0; ox < s->out.w; ox++)
                    sum += v_select(v_load_bytes(a + ox * k) != PMC_NO_GRADIENT, v_round(v_load(g + ox * k)), (vf){0});
                all += sum;
            }
        v_store(db + co, all);
    }
    for (int64_t co = last; last == k && co < pmc_padded(k); co++) db[co] = 0;
}

/* How a patch of group-channels c lies in the filter master and in x, for patch_sum. */
static patch_shape conv_patch(const pmc_conv *s) {
    const int64_t c = s->in.c / s->groups, filter_row = pmc_filter_row(s);
    const int64_t row = s->dilation_h * pmc_image_pitch(&s->in);
    if (pmc_conv_rows_contiguous(s))
        return patch_tiled(
            (patch_shape){.outer = 1, .rows = s->kh, .length = s->kw * c, .to_row = filter_row, .from_row = row});
    return patch_tiled((patch_shape){.outer = s->kh,
                                     .rows = s->kw,
                                     .length = c,
                                     .to_outer = filter_row,
                                     .to_row = c,
                                     .from_outer = row,
                                     .from_row = s->dilation_w * s->in.c});
}

/* Where the patch of a window index lies from that of the first: a multiple of a pixel, and rows to be skipped. */
INLINE vi conv_window_offset(vi where, const pmc_conv *s) {
    const lane pixel = (lane)(s->stride_w * s->in.c), row = (lane)(s->stride_h * pmc_image_pitch(&s->in));
    vi at = where * pixel;
    for (lane i = 1; i < s->pool_h; i++) at += (where >= (lane)(i * s->pool_w)) & (lane)(row - s->pool_w * pixel);
    return at;
}

/* The nonzeros of a square of VL output pixels (the first n are there) and VL output channels, to the lists of the
 * channels, of which each has one, or PMC_QUARTERS: patch_sum_quarters. */
INLINE void conv_list(const int quarters, nonzero *lists, const int64_t pitch, int64_t *living, const real *dy,
                      const uint8_t *argmax, const int32_t *x_of, const int32_t *dy_of, const int32_t *argmax_of,
                      int64_t n, const pmc_conv *s) {
    const lane indices = (lane)(s->pool_h * s->pool_w); /* what is none is dead: memory is safe whatever argmax holds */
    vf offset[VL], scale[VL];
    for (int j = 0; j < VL; j++) {
        offset[j] = (vf)v_splat_lane(-1);
        scale[j] = (vf){0};
        if (j >= n) continue;
        const vi where = v_load_bytes(argmax + argmax_of[j]);
        offset[j] = (vf)((conv_window_offset(where, s) + (lane)x_of[j]) | (where >= indices));
        scale[j] = v_round(v_load(dy + dy_of[j]));
    }
    transpose_square(offset);
    transpose_square(scale);
    for (int l = 0; l < VL; l++)
        for (int quarter = 0; quarter < quarters; quarter++, lists += pitch, living++) {
            const vi at = (vi)offset[l];
            uint32_t bits = v_not_negative(at);
            if (quarters > 1)
                bits &= v_equal(at & (PMC_PAD - 1), v_splat_lane((lane)((quarters - 1 - quarter) * PMC_QUARTER)));
            *living += append_nonzeros(lists + *living, at, scale[l], bits);
        }
}

/* The factors of n pictures: x itself, or in `room`. */
static const factor *conv_pictures(const real *x, const pmc_conv *s, int64_t n, void *room) {
    if (PAIR == 1) return (const factor *)x;
    for (int64_t e = 0; e < n * pmc_image_stride(&s->in); e += VL) v_store_factors((factor *)room + e, v_load(x + e));
    return room;
}

/* dw [k][kh][kw * c/g, padded], db [k] or NULL; dy image `out`, argmax [oh][ow][k], x image `in`; output channels first
 * to last - 1, of which first is a multiple of 16 */
static void conv_weight_gradient(real *dw, real *db, const real *dy, const uint8_t *argmax, const real *x,
                                 const pmc_conv *s, int64_t n, int opening, int64_t first, int64_t last, void *room) {
    const int64_t k = s->out.c, c = s->in.c / s->groups, row = pmc_filter_row(s), pitch = pmc_image_pitch(&s->out);
    void *nonzeros = (real *)room + (PAIR > 1 ? n * pmc_image_stride(&s->in) : 0); /* behind the pictures' factors */
    const patch_shape shape = conv_patch(s);
    int32_t at[PMC_NO_GRADIENT + 1];
    conv_window_offsets(at, s);
    if (opening) memset(dw + first * s->kh * row, 0, (size_t)((last - first) * s->kh * row) * sizeof *dw);
    if (db) conv_bias_gradient(db, dy, argmax, s, n, opening, first, last);
    if (s->in.c == 1 || pmc_conv_depthwise(s)) {
        conv_by_taps(dw, dy, argmax, x, s, n, opening, first, last, at, room, nonzeros);
        return;
    }
#if PMC_TILES
    if (pmc_conv_spread(s)) {
        conv_tile_weight_gradient(dw, dy, argmax, x, s, n, first, last, room);
        return;
    }
#endif
    const factor *pictures = conv_pictures(x, s, n, room);
    /* So many output pixels at a time that their x is in L1, or L2: it is read for every output channel. */
    enum { MOST = PAIR * PMC_NONZEROS, LIST = MOST + VL };
    int32_t *x_of = nonzeros, *dy_of = x_of + MOST, *argmax_of = dy_of + MOST;
    nonzero *lists = (nonzero *)((char *)nonzeros + 12 * MOST); /* [VL][quarters][LIST] */
    const int64_t items = n * s->out.h * s->out.w;
    const int in_quarters = PAIR == 1 && pmc_conv_quarters(s);
    const int64_t some = in_quarters ? MOST / 2 : PAIR == 1 ? MOST : equal_parts(items, MOST);
    out_pixel pixel = {0};
    for (int64_t begin = 0; begin < items; begin += some) {
        const int64_t count = MIN(some, items - begin);
        for (int64_t item = 0; item < count; item++, next_out_pixel(&pixel, s)) {
            x_of[item] = (int32_t)(pixel.picture * pmc_image_stride(&s->in) + conv_patch_of(s, pixel.y, pixel.x));
            dy_of[item] = (int32_t)(pixel.picture * pmc_image_stride(&s->out) + (s->out.top + pixel.y) * pitch +
                                    (s->out.left + pixel.x) * k);
            argmax_of[item] =
                (int32_t)(pixel.picture * pmc_argmax_stride(&s->out) + (pixel.y * s->out.w + pixel.x) * k);
        }
        for (int64_t co = first; co < last; co += VL) {
            int64_t living[VL * PMC_QUARTERS] = {0};
            for (int64_t item = 0; item < count; item += VL)
                if (in_quarters)
                    conv_list(PMC_QUARTERS, lists, LIST, living, dy + co, argmax + co, x_of + item, dy_of + item,
                              argmax_of + item, count - item, s);
                else
                    conv_list(1, lists, LIST, living, dy + co, argmax + co, x_of + item, dy_of + item, argmax_of + item,
                              count - item, s);
            for (int64_t o = co, l = 0; o < MIN(co + VL, last); o++, l++)
                if (in_quarters)
                    patch_sum_quarters(dw + o * s->kh * row, pictures, lists + l * PMC_QUARTERS * LIST, LIST,
                                       living + l * PMC_QUARTERS, &shape);
                else
                    patch_sum(dw + o * s->kh * row, pictures + o / (k / s->groups) * c, lists + l * LIST, living[l],
                              &shape);
        }
    }
}

/* Where an output pixel's gradients and argmax lie, those of picture i. */
INLINE const real *conv_dy_of(const real *dy, const pmc_conv *s, int64_t i, int64_t oy, int64_t ox) {
    return dy + i * pmc_image_stride(&s->out) + (s->out.top + oy) * pmc_image_pitch(&s->out) +
           (s->out.left + ox) * s->out.c;
}
INLINE const uint8_t *conv_argmax_of(const uint8_t *argmax, const pmc_conv *s, int64_t i, int64_t oy, int64_t ox) {
    return argmax + i * pmc_argmax_stride(&s->out) + (oy * s->out.w + ox) * s->out.c;
}

/* Every channel a group of its own: lanes over channels; packed is a workspace. */
static void conv_channels_input_gradient(real *dx, const real *dy, const uint8_t *argmax, const real *w,
                                         const pmc_conv *s, int64_t n, real *packed, const int32_t *at) {
    const int64_t k = s->out.c, pitch = pmc_padded(k), row = s->dilation_h * pmc_image_pitch(&s->in);
    const int indices = (int)(s->pool_h * s->pool_w);
    for (int64_t task = 0; task < pmc_conv_pack_parts(s); task++) conv_pack(packed, w, NULL, s, task);
    for (int64_t i = 0; i < n; i++, dx += pmc_image_stride(&s->in)) {
        memset(dx, 0, (size_t)pmc_image_stride(&s->in) * sizeof *dx);
        for (out_pixel pixel = {0}; pixel.picture == 0; next_out_pixel(&pixel, s)) {
            const uint8_t *a = conv_argmax_of(argmax, s, i, pixel.y, pixel.x);
            const real *g = conv_dy_of(dy, s, i, pixel.y, pixel.x);
            for (int64_t c = 0; c < k; c += VL) {
                const vf gradient = v_round(v_load(g + c));
                const vi where = v_load_bytes(a + c);
                for (int index = 0; index < indices; index++) {
                    const vf here = v_select(where == index, gradient, (vf){0});
                    const real *weight = packed + c;
                    for (int64_t r = 0; r < s->kh; r++)
                        for (int64_t j = 0; j < s->kw; j++, weight += pitch) {
                            real *to = dx + conv_patch_of(s, pixel.y, pixel.x) + at[index] + r * row +
                                       j * s->dilation_w * k + c;
                            v_store_n(to, v_fma(here, v_load(weight), v_load(to)), k - c);
                        }
                }
            }
        }
    }
}

/* The nonzeros of an output pixel's k channels, to the lists [indices][pitch] of its window indices. */
INLINE void conv_list_channels(nonzero *lists, int64_t pitch, int64_t *living, int64_t indices, const real *dy,
                               const uint8_t *argmax, int64_t k, int64_t filter) {
    vi channel; /* 0, 1, 2, ... */
    for (int l = 0; l < VL; l++) channel[l] = l;
    memset(living, 0, (size_t)indices * sizeof *living);
    for (int64_t co = 0; co < k; co += VL) {
        const vi where = v_load_bytes(argmax + co) | (channel >= (lane)(k - co));
        const vi offset = (channel + (lane)co) * (lane)filter;
        for (int64_t index = 0; index < indices; index++)
            living[index] += append_nonzeros(lists + index * pitch + living[index], offset, v_round(v_load(dy + co)),
                                             v_equal(where, v_splat_lane((lane)index)));
    }
}

/* As conv_input_gradient, of large filters, which would come from L2 one by one: the sums of a few output pixels are made
 * apart, a tile of all filters at a time, and then added to dx in the pixels' order. In bfloat16 filters are half as
 * large, and it would take longer. */
static void conv_input_gradient_apart(real *dx, const real *dy, const uint8_t *argmax, const factor *filters,
                                      const pmc_conv *s, int64_t n, nonzero *lists, const int32_t *at) {
    const int64_t k = s->out.c, filter = s->kh * pmc_filter_row(s), indices = s->pool_h * s->pool_w;
    const int64_t pitch = pmc_padded(k), items = n * s->out.h * s->out.w;
    const patch_shape shape = patch_reversed(conv_patch(s));
    real *sums = (real *)(lists + PMC_APART * indices * pitch + PMC_PAD), *to[PMC_APART];
    int64_t living[PMC_APART * PMC_APART_INDICES];
    out_pixel pixel = {0};
    for (int64_t begin = 0; begin < items; begin += PMC_APART) {
        const int64_t some = MIN(PMC_APART, items - begin);
        for (int64_t item = 0; item < some; item++, next_out_pixel(&pixel, s)) {
            real *picture = dx + pixel.picture * pmc_image_stride(&s->in);
            if (pixel.y + pixel.x == 0) memset(picture, 0, (size_t)pmc_image_stride(&s->in) * sizeof *dx);
            to[item] = picture + conv_patch_of(s, pixel.y, pixel.x);
            conv_list_channels(lists + item * indices * pitch, pitch, living + item * indices, indices,
                               conv_dy_of(dy, s, pixel.picture, pixel.y, pixel.x),
                               conv_argmax_of(argmax, s, pixel.picture, pixel.y, pixel.x), k, filter);
        }
        patch_sums_apart(sums, filter, filters, k, lists, pitch, living, some * indices, &shape);
        for (int64_t item = 0; item < some; item++)
            for (int64_t index = 0; index < indices; index++)
                if (living[item * indices + index])
                    patch_add(to[item] + at[index], sums + (item * indices + index) * filter, &shape);
    }
}

/* dx image `in`, dy image `out`, argmax [oh][ow][k], w the master and what is packed of it */
static void conv_input_gradient(real *dx, const real *dy, const uint8_t *argmax, const real *w, const pmc_conv *s,
                                int64_t n, void *nonzeros, const real *packed) {
    const int64_t c = s->in.c / s->groups, k = s->out.c / s->groups, filter = s->kh * pmc_filter_row(s);
    const int64_t indices = s->pool_h * s->pool_w, list_pitch = pmc_padded(k);
    const patch_shape shape = patch_reversed(conv_patch(s));
    const factor *filters = (const factor *)conv_filters(packed, w, s);
    int32_t at[PMC_NO_GRADIENT + 1];
    conv_window_offsets(at, s);
    if (pmc_conv_depthwise(s)) {
        conv_channels_input_gradient(dx, dy, argmax, w, s, n, nonzeros, at);
        return;
    }
#if PMC_TILES
    if (pmc_conv_spread(s)) {
        conv_tile_input_gradient(dx, dy, argmax, conv_filters(packed, w, s), s, n, nonzeros);
        return;
    }
#endif
    if (PAIR == 1 && pmc_conv_apart(s, sizeof(real))) {
        conv_input_gradient_apart(dx, dy, argmax, filters, s, n, nonzeros, at);
        return;
    }
    nonzero *lists = nonzeros; /* [window indices][list_pitch] */
    int64_t living[PMC_NO_GRADIENT];
    for (int64_t i = 0; i < n; i++, dx += pmc_image_stride(&s->in)) {
        memset(dx, 0, (size_t)pmc_image_stride(&s->in) * sizeof *dx);
        for (int64_t oy = 0; oy < s->out.h; oy++)
            for (int64_t ox = 0; ox < s->out.w; ox++)
                for (int64_t group = 0; group < s->groups; group++) {
                    conv_list_channels(lists, list_pitch, living, indices, conv_dy_of(dy, s, i, oy, ox) + group * k,
                                       conv_argmax_of(argmax, s, i, oy, ox) + group * k, k, filter);
                    for (int64_t index = 0; index < indices; index++)
                        patch_sum(dx + conv_patch_of(s, oy, ox) + at[index] + group * c, filters + group * k * filter,
                                  lists + index * list_pitch, living[index], &shape);
                }
    }
}
