/* The products of a large linear layer by themselves, for benchmarks: what a block of them reaches depends on where its
 * factors come from. */
#pragma once
#include "linear_tile.h"

/* y [n][out] = x [n][in] * w [in][out], so many times; y, x, its factors and w lie one after the other in `room`. packs: x
 * is packed each time, where factors are. Returns the operations done. */
static double products(real *room, const pmc_linear *s, int64_t n, int packs, int64_t repeats) {
    const int64_t x_stride = pmc_vector_stride(s->in);
    real *y = room, *x = y + n * pmc_vector_stride(s->out), *packed = x + n * x_stride, *w = packed + n * x_stride;
    factors of_x = factors_of_rows(packed, x, n, s->in, x_stride);
    for (int64_t r = 0; r < repeats; r++) {
        if (packs) of_x = factors_of_rows(packed, x, n, s->in, x_stride);
        linear_columns(y, of_x, w, w, NULL, s, n, 0, pmc_padded(s->out));
    }
    return 2. * (double)n * (double)s->in * (double)s->out * (double)repeats;
}
