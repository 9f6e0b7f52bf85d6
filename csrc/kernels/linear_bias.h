/* The bias of a large linear layer. */
#pragma once
#include "factors.h"

/* db [out, padded], or NULL: the sum of dy [n][out], in stretches */
static void linear_bias_gradient(real *db, const real *dy, const pmc_linear *s, int64_t n) {
    const int64_t stretch = stretch_of(n), dy_stride = pmc_vector_stride(s->out);
    for (int64_t o = 0; db && o < pmc_padded(s->out); o += VL) {
        vf all = (vf){0};
        for (int64_t i = 0; i < n;) {
            vf sum = (vf){0};
            for (const int64_t end = MIN(n, i + stretch); i < end; i++) sum += v_round(v_load(dy + i * dy_stride + o));
            all += sum;
        }
        v_store(db + o, all);
    }
}
