/* The convolution block, forward: conv + bias + monotone activation + max-pool, as one kernel. Channels last; no
 * im2col. Its gradients are in conv_gradient.h.
 *
 * Dense: conv_rows.h with output channels in lanes, a pool's rows at a time in L1, then pooled. As a monotone activation
 * commutes with max, only the pooled quarter is activated; what pooling discards is never computed. Where every channel
 * is a group of its own (depthwise), lanes go across channels. Where it takes fewer products, winograd.h. The margins
 * of a picture, where all is zero, are not computed at all.
 *
 * In words of bfloat16 all that is dense goes over them (factors.h): Winograd's factors would be others, and rounded
 * otherwise. */
#pragma once
#include "factors.h"
#if PMC_TILES
#include "amx_conv.h"
#else
#include "conv_rows.h"
#endif
#include "conv_pool.h"
#include "rounding.h"
#include "winograd.h"

INLINE int64_t conv_winograd(const pmc_conv *s) { return PAIR > 1 ? 0 : pmc_conv_winograd(s); }
INLINE real *conv_dots_packed(const real *packed, const pmc_conv *s) {
    return (real *)packed + s->kh * s->kw * s->in.c * conv_columns(s);
}

/* The filters [k][kh][kw * c/g, padded] that the gradient of the input reads: w, or its factors behind the packed. */
INLINE const real *conv_filters(const real *packed, const real *w, const pmc_conv *s) {
    return PAIR == 1 ? w : packed + pmc_conv_words(s);
}

/* packed [groups][kh][kw][c/g][k/g, padded] <- w [k][kh][kw * c/g, padded], times scale [k] (or NULL), what a batch
 * norm behind the convolution multiplies with; a task is 16 output channels. Where every channel is a group of its
 * own the lanes of the packed weights go over groups: [kh][kw][k, padded]. Channels that are computed as dot
 * products lie behind the others as they lie in w. */
static void conv_pack(real *packed, const real *w, const real *scale, const pmc_conv *s, int64_t task) {
    const int64_t c = s->in.c / s->groups, k = pmc_conv_depthwise(s) ? s->out.c : s->out.c / s->groups;
    const int64_t pitch = conv_columns(s), blocks = pmc_padded(k) / PMC_PAD, row = pmc_filter_row(s);
    const int64_t group = task / blocks, first = task % blocks * PMC_PAD, channel = group * k + first;
    if (PAIR > 1 && !pmc_conv_depthwise(s)) {
        const int64_t n = MIN(PMC_PAD, k - first);
        conv_pack_words(packed + group * conv_group_packed(s) + first, w + channel * s->kh * row,
                        scale ? scale + channel : NULL, s, n, pitch);
        conv_pack_filters(packed + pmc_conv_words(s), w, s, channel, n);
        return;
    }
    if (conv_winograd(s)) {
        winograd_pack(packed, w, scale, s, task);
        return;
    }
    if (first == pitch) {
        for (int64_t o = first; o < k; o++)
            for (int64_t e = 0; e < s->kh * row; e += VL)
                v_store(conv_dots_packed(packed, s) + (o - first) * s->kh * row + e,
                        v_load(w + o * s->kh * row + e) * v_splat(scale ? scale[o] : 1));
        return;
    }
    for (int64_t i = 0; i < s->kh; i++) {
        real *to = packed + (group * s->kh + i) * s->kw * c * pitch + first;
        transpose(to, w + (channel * s->kh + i) * row, MIN(PMC_PAD, k - first), s->kw * c, PMC_PAD, pitch, s->kh * row);
        for (int64_t j = 0; (scale || PAIR > 1) && j < s->kw * c; j++, to += pitch)
            for (int64_t o = 0; o < MIN(PMC_PAD, k - first); o += VL) {
                const vf factor = scale ? v_load_n(scale + channel + o, k - first - o) : v_splat(1);
                v_store(to + o, v_round(v_load(to + o) * factor));
            }
    }
}

/* rounded [k][kh][kw * c/g, padded] <- w times scale, of a task's channels */
static void conv_round(real *rounded, const real *w, const real *scale, const pmc_conv *s, int64_t task) {
    const int64_t k = pmc_conv_depthwise(s) ? s->out.c : s->out.c / s->groups, filter = s->kh * pmc_filter_row(s);
    const int64_t blocks = pmc_padded(k) / PMC_PAD, first = task % blocks * PMC_PAD,
                  channel = task / blocks * k + first;
    round_rows(rounded + channel * filter, w + channel * filter, scale ? scale + channel : NULL,
               MIN(PMC_PAD, k - first), filter);
}

/* The output pixels of row oy that see a pixel other than zero. A picture of one channel has margins: what they give
 * is the bias, and their part of the gradient is zero (0 * w is, for every finite w), so that neither need be
 * computed. */
static range conv_range(const real *x, const pmc_conv *s, int64_t oy) {
    const int64_t step = s->pool_w * s->stride_w,
                  window = (s->pool_w - 1) * s->stride_w + (s->kw - 1) * s->dilation_w + 1;
    const int64_t height = (s->pool_h - 1) * s->stride_h + (s->kh - 1) * s->dilation_h + 1;
    const int64_t width = (s->out.w - 1) * step + window;
    int64_t left = width, right = -1;
    if (s->in.c > 1) return (range){0, (int32_t)s->out.w};
    for (int64_t e = 0; e < width; e += VL) {
        const real *row = x + conv_patch_of(s, oy, 0) + e;
        vi any = {0};
        for (int64_t i = 0; i < height; i++, row += pmc_image_pitch(&s->in)) any |= (vi)v_load_n(row, width - e);
        const uint32_t bits = v_nonzero_lanes(any << 1); /* but for their signs */
        if (!bits) continue;
        left = MIN(left, e + __builtin_ctz(bits));
        right = e + 31 - __builtin_clz(bits);
    }
    const int64_t begin = left < window ? 0 : (left - window) / step + 1;
    return right < 0 ? (range){0, 0} : (range){(int32_t)begin, (int32_t)MIN(s->out.w, right / step + 1)};
}

/* The other output pixels, which see zeros alone: what the bias gives, of whose window indices all are alike. */
static void conv_blank(real *y, uint8_t *argmax, const real *b, const real *norm, const pmc_conv *s,
                       const conv_part *part) {
    const int64_t k = s->out.c, begin = part->out_pixels.begin, end = part->out_pixels.end;
    if (begin == 0 && end == s->out.w) return;
    for (int64_t co = part->first; co < part->last; co += VL) {
        const vf bias = b ? v_load(b + co) : (vf){0};
        const lane nan = (lane)(s->pool_h * s->pool_w - 1); /* the last one wins */
        best_of blank =
            conv_normed(conv_relu(s), (best_of){bias, v_select_lane(bias != bias, v_splat_lane(nan), (vi){0})},
                        norm ? norm + co : NULL, s);
        if (!conv_relu(s)) {
            real lanes[VL];
            v_store(lanes, blank.value);
            activate(lanes, lanes, VL, &s->activation);
            blank.value = v_load(lanes);
        }
        for (int64_t ox = begin ? 0 : end; ox < s->out.w; ox = ox + 1 == begin ? end : ox + 1)
            conv_keep(y + ox * k + co, argmax ? argmax + ox * k + co : NULL, blank, part->last - co);
    }
}

/* Every channel a group of its own: rows [pixels][pitch] <- b + the sum over taps of x * packed, lanes over
 * channels, P pixels at a time. */
INLINE void conv_channels(const int P, real *rows, const real *x, const real *packed, const real *b, int64_t pitch,
                          const pmc_conv *s) {
    const int64_t pixel = s->stride_w * s->in.c, row = s->dilation_h * pmc_image_pitch(&s->in);
    for (int64_t c = 0; c < s->out.c; c += VL) {
        const real *w = packed + c;
        vf sum[4];
        for (int p = 0; p < P; p++) sum[p] = b ? v_load(b + c) : (vf){0};
        for (int64_t i = 0; i < s->kh; i++)
            for (int64_t j = 0; j < s->kw; j++, w += pitch) {
                const real *tap = x + i * row + j * s->dilation_w * s->in.c + c;
                for (int p = 0; p < P; p++)
                    sum[p] = v_fma(v_round(v_load_n(tap + p * pixel, s->in.c - c)), v_load(w), sum[p]);
            }
        for (int p = 0; p < P; p++) v_store(rows + p * pitch + c, sum[p]);
    }
}

static void conv_channels_row(real *rows, const real *x, const real *packed, const real *b, int64_t pixels,
                              int64_t pitch, const pmc_conv *s) {
    const int64_t pixel = s->stride_w * s->in.c;
    int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) conv_channels(4, rows + p * pitch, x + p * pixel, packed, b, pitch, s);
    for (; p < pixels; p++) conv_channels(1, rows + p * pitch, x + p * pixel, packed, b, pitch, s);
}

/* Are the window indices those of y itself, and full vectors? Then there is no way through rows. */
INLINE int conv_in_place(const pmc_conv *s) {
    const int whole = s->out.c % PMC_PAD == 0 && (s->groups == 1 || pmc_conv_depthwise(s));
    return s->pool_h == 1 && s->pool_w == 1 && whole;
}

/* y image `out`, argmax [oh][ow][k] or NULL, x image `in`, packed and b [k]; rows [pool_h][ow * pool_w][pitch]; w and
 * scale: what was packed; norm: the statistics of a batch norm behind the pool, or NULL. The first of a piece's output
 * channels is a multiple of 16 (with groups: it has all). */
static void conv_forward(real *y, uint8_t *argmax, const real *x, const real *packed, const real *b, const real *w,
                         const real *scale, const real *norm, const pmc_conv *s, const pmc_piece *piece, real *rows) {
    const int64_t first = piece->channels.first, last = piece->channels.last, h = s->out.h;
    if (conv_winograd(s)) {
        const winograd_filters filters = {packed, b, w, scale, norm};
        winograd_forward(y, argmax, x, &filters, s, piece, rows);
        return;
    }
    const int channels = pmc_conv_depthwise(s), in_place = conv_in_place(s);
    const int64_t pitch = pmc_padded(s->out.c) + (s->groups > 1 && !channels ? PMC_PAD : 0);
    const int64_t pixels = s->out.w * s->pool_w, x_row = s->stride_h * pmc_image_pitch(&s->in);
    real *room = rows + s->pool_h * pixels * pitch; /* of a picture's factors, and behind them of what else it takes */
    const conv_products products = conv_products_of(s, pitch, room + pmc_image_stride(&s->in));
    for (int64_t i = piece->first_row / h; i * h < piece->last_row; i++) {
        real *y_i = y + i * pmc_image_stride(&s->out);
        const real *x_i = x + i * pmc_image_stride(&s->in);
        const int64_t top = MAX(piece->first_row - i * h, 0), below = MIN(piece->last_row - i * h, h);
        if (first == 0 && top == 0) image_clear_border(y_i, &s->out);
        const conv_element *picture = channels ? NULL : conv_picture(x_i, s, room);
        for (int64_t oy = top; oy < below; oy++) {
            const conv_part part = {first, last, conv_range(x_i, s, oy)};
            const int64_t skip = part.out_pixels.begin * s->pool_w, seen = part.out_pixels.end * s->pool_w - skip;
            real *y_row = image_inside(y_i, &s->out) + oy * pmc_image_pitch(&s->out);
            uint8_t *argmax_row = argmax ? argmax + i * pmc_argmax_stride(&s->out) + oy * s->out.w * s->out.c : NULL;
            if (in_place) rows = y_row;
            for (int64_t r = 0; seen && r < s->pool_h; r++) {
                real *row = rows + (r * pixels + skip) * pitch;
                const int64_t at = conv_patch_of(s, oy, part.out_pixels.begin) + r * x_row;
                if (channels) conv_channels_row(row, x_i + at, packed, b, seen, pitch, s);
                else conv_row(row, picture + at, packed, b, seen, &products, first, last);
            }
            conv_pool(y_row, argmax_row, rows, pitch, norm, s, &part);
            conv_blank(y_row, argmax_row, b, norm, s, &part);
        }
    }
    conv_rows_end();
}
