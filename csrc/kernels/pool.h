/* Pooling of its own, with any stride, padding and dilation; a convolution's non-overlapping max-pool is in
 * conv.h. */
#pragma once
#include "images.h"
#include "window.h"

/* y image `out`, argmax int32 [oh][ow][c]: the winner's offset in x image `in`; the first maximum wins ties,
 * NaN wins over everything, padding never. */
static void pool_forward(real *y, int32_t *argmax, const real *x, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, pitch = pmc_image_pitch(&s->in);
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(&s->out), x += pmc_image_stride(&s->in)) {
        image_clear_border(y, &s->out);
        for (int64_t oy = 0; oy < s->out.h; oy++)
            for (int64_t ox = 0; ox < s->out.w; ox++, argmax += c) {
                real *best = image_inside(y, &s->out) + oy * pmc_image_pitch(&s->out) + ox * c;
                const window at = pool_window(s, oy, ox);
                for (int64_t channel = 0; channel < c; channel++) { /* where a window sees nothing but padding */
                    best[channel] = -(real)__builtin_inf();
                    argmax[channel] = -1;
                }
                for (int64_t iy = at.top; iy < at.bottom; iy += s->dilation_h)
                    for (int64_t ix = at.left; ix < at.right; ix += s->dilation_w) {
                        const int64_t offset = (s->in.top + iy) * pitch + (s->in.left + ix) * c;
                        for (int64_t channel = 0; channel < c; channel++) {
                            const real value = x[offset + channel];
                            if (argmax[channel] < 0 || value > best[channel] || value != value) {
                                best[channel] = value;
                                argmax[channel] = (int32_t)(offset + channel);
                            }
                        }
                    }
            }
    }
}

static void pool_backward(real *dx, const real *dy, const int32_t *argmax, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, stride = pmc_image_stride(&s->in);
    for (int64_t i = 0; i < n; i++, dy += pmc_image_stride(&s->out), dx += stride) {
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t oy = 0; oy < s->out.h; oy++) {
            const real *g = dy + (s->out.top + oy) * pmc_image_pitch(&s->out) + s->out.left * c;
            for (int64_t e = 0; e < s->out.w * c; e++, argmax++)
                if ((uint32_t)*argmax < stride) dx[*argmax] += g[e]; /* memory is safe whatever it holds */
        }
    }
}

/* y image `out` <- the mean of every window of x image `in`; dilation is 1 */
static void average_forward(real *y, const real *x, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, pitch = pmc_image_pitch(&s->in);
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(&s->out), x += pmc_image_stride(&s->in)) {
        image_clear_border(y, &s->out);
        for (int64_t oy = 0; oy < s->out.h; oy++)
            for (int64_t ox = 0; ox < s->out.w; ox++) {
                real *mean = image_inside(y, &s->out) + oy * pmc_image_pitch(&s->out) + ox * c;
                const window at = pool_window(s, oy, ox);
                for (int64_t e = 0; e < c; e += VL) {
                    cascade sum = {{{0}}, 0};
                    for (int64_t iy = at.top; iy < at.bottom; iy++)
                        for (int64_t ix = at.left; ix < at.right; ix++)
                            add_value(&sum, v_load(x + (s->in.top + iy) * pitch + (s->in.left + ix) * c + e));
                    v_store_n(mean + e, sum_of(&sum) / (real)at.count, c - e);
                }
            }
    }
}

static void average_backward(real *dx, const real *dy, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, pitch = pmc_image_pitch(&s->in), stride = pmc_image_stride(&s->in);
    for (int64_t i = 0; i < n; i++, dy += pmc_image_stride(&s->out), dx += stride) {
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t oy = 0; oy < s->out.h; oy++)
            for (int64_t ox = 0; ox < s->out.w; ox++) {
                const real *g = dy + (s->out.top + oy) * pmc_image_pitch(&s->out) + (s->out.left + ox) * c;
                const window at = pool_window(s, oy, ox);
                for (int64_t e = 0; e < c; e += VL) {
                    const vf share = v_load(g + e) / (real)at.count;
                    for (int64_t iy = at.top; iy < at.bottom; iy++)
                        for (int64_t ix = at.left; ix < at.right; ix++) {
                            real *to = dx + (s->in.top + iy) * pitch + (s->in.left + ix) * c + e;
                            v_store_n(to, v_load(to) + share, c - e);
                        }
                }
            }
    }
}
