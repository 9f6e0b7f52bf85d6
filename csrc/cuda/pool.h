/* Device kernels of pooling of its own. Gradients are gathered: an element of dx looks for the windows that see it,
 * so that no two threads add to one place. */
#pragma once
#include "grid.h"
#include "../kernels/window.h"

INLINE int64_t outputs_of(const pmc_job *j) { return image_elements(&j->op.shape.pool.out); }
INLINE int64_t pixels_of(const pmc_job *j) { return image_elements(&j->op.shape.pool.in); }
#define pool_forward_items outputs_of
#define average_forward_items outputs_of
#define pool_backward_items pixels_of
#define average_backward_items pixels_of

/* A channel's row and column, of element e in the order h, w, c. */
typedef struct {
    int64_t y, x, c;
} spot;
INLINE spot spot_of(const pmc_image *s, int64_t e) {
    const int32_t c = (int32_t)s->c, w = (int32_t)s->w, pixel = (int32_t)e / c;
    const spot at = {pixel / w, pixel % w, (int32_t)e % c};
    return at;
}

KERNEL void pool_forward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_pool *s = &j->op.shape.pool;
    const real *x = SAMPLE(2, sample, pmc_image_stride(&s->in));
    const spot out_pixel = spot_of(&s->out, e);
    const window at = pool_window(s, out_pixel.y, out_pixel.x);
    real best = -(real)INFINITY;
    int32_t argmax = -1;
    for (int64_t iy = at.top; iy < at.bottom; iy += s->dilation_h)
        for (int64_t ix = at.left; ix < at.right; ix += s->dilation_w) {
            const int64_t offset =
                (s->in.top + iy) * pmc_image_pitch(&s->in) + (s->in.left + ix) * s->in.c + out_pixel.c;
            const real value = x[offset];
            if (argmax < 0 || value > best || value != value) best = value, argmax = (int32_t)offset;
        }
    SAMPLE(0, sample, pmc_image_stride(&s->out))[inside(&s->out, e)] = best;
    ((int32_t *)j->ref[1])[sample * outputs_of(j) + e] = argmax;
}
PER_SAMPLE(pool_forward)

/* The output pixels along an axis whose tap t sees position i; -1: none does. */
INLINE int64_t output_that_sees(int64_t i, int64_t t, int64_t out_pixels, int64_t stride, int64_t pad,
                                int64_t dilation) {
    const int64_t begin = i + pad - t * dilation;
    return begin >= 0 && begin % stride == 0 && begin / stride < out_pixels ? begin / stride : -1;
}

KERNEL void pool_backward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_pool *s = &j->op.shape.pool;
    const real *dy = SAMPLE(1, sample, pmc_image_stride(&s->out));
    const int32_t *argmax = (const int32_t *)j->ref[2] + sample * outputs_of(j);
    const spot pixel = spot_of(&s->in, e);
    const int64_t offset = inside(&s->in, e);
    real sum = 0;
    for (int64_t r = s->kh - 1; r >= 0; r--) {
        const int64_t oy = output_that_sees(pixel.y, r, s->out.h, s->stride_h, s->top, s->dilation_h);
        for (int64_t t = s->kw - 1; oy >= 0 && t >= 0; t--) {
            const int64_t ox = output_that_sees(pixel.x, t, s->out.w, s->stride_w, s->left, s->dilation_w);
            const int64_t out_pixel = (oy * s->out.w + ox) * s->out.c + pixel.c;
            if (ox >= 0 && argmax[out_pixel] == offset) sum += dy[inside(&s->out, out_pixel)];
        }
    }
    SAMPLE(0, sample, pmc_image_stride(&s->in))[offset] = sum;
}
PER_SAMPLE(pool_backward)

KERNEL void average_forward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_pool *s = &j->op.shape.pool;
    const real *x = SAMPLE(1, sample, pmc_image_stride(&s->in));
    const spot out_pixel = spot_of(&s->out, e);
    const window at = pool_window(s, out_pixel.y, out_pixel.x);
    cascade sum = {{0}, 0};
    for (int64_t iy = at.top; iy < at.bottom; iy++)
        for (int64_t ix = at.left; ix < at.right; ix++)
            add_value(&sum, x[(s->in.top + iy) * pmc_image_pitch(&s->in) + (s->in.left + ix) * s->in.c + out_pixel.c]);
    SAMPLE(0, sample, pmc_image_stride(&s->out))[inside(&s->out, e)] = sum_of(&sum) / (real)at.count;
}
PER_SAMPLE(average_forward)

KERNEL void average_backward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_pool *s = &j->op.shape.pool;
    const real *dy = SAMPLE(1, sample, pmc_image_stride(&s->out));
    const spot pixel = spot_of(&s->in, e);
    real sum = 0;
    for (int64_t r = s->kh - 1; r >= 0; r--) {
        const int64_t oy = output_that_sees(pixel.y, r, s->out.h, s->stride_h, s->top, 1);
        for (int64_t t = s->kw - 1; oy >= 0 && t >= 0; t--) {
            const int64_t ox = output_that_sees(pixel.x, t, s->out.w, s->stride_w, s->left, 1);
            if (ox >= 0)
                sum +=
                    dy[inside(&s->out, (oy * s->out.w + ox) * s->out.c + pixel.c)] / (real)pool_window(s, oy, ox).count;
        }
    }
    SAMPLE(0, sample, pmc_image_stride(&s->in))[inside(&s->in, e)] = sum;
}
PER_SAMPLE(average_backward)
