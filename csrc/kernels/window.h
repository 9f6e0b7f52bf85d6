/* Windows of a pool of its own, with any stride, padding and dilation. */
#pragma once
#include "vectors.h"

/* What a output pixel's window sees of the input: rows [top, bottom), columns [left, right), in steps of the dilation;
 * and how many positions an average divides by. */
typedef struct {
    int64_t top, bottom, left, right, count;
} window;

/* The first tap at or behind the edge that lies `before` 0. */
INLINE int64_t first_tap(int64_t start, int64_t dilation) {
    return start >= 0 ? start : start + (-start + dilation - 1) / dilation * dilation;
}

INLINE window pool_window(const pmc_pool *s, int64_t oy, int64_t ox) {
    const int64_t y0 = oy * s->stride_h - s->top, x0 = ox * s->stride_w - s->left;
    const int64_t y1 = MIN(y0 + (s->kh - 1) * s->dilation_h + 1, s->in.h + s->bottom);
    const int64_t x1 = MIN(x0 + (s->kw - 1) * s->dilation_w + 1, s->in.w + s->right);
    window seen = {first_tap(y0, s->dilation_h), MIN(y1, s->in.h), first_tap(x0, s->dilation_w), MIN(x1, s->in.w), 0};
    seen.count = s->count_pad ? (y1 - y0) * (x1 - x0) : (seen.bottom - seen.top) * (seen.right - seen.left);
    return seen;
}
