/* Small linear layers, of SHARD scope: w [out][in, padded], sample by sample; a sum over inputs is a dot product (dots.h).
 * Large ones are in linear_large.h. */
#pragma once
#include "dots.h"

static void linear_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n) {
    const int64_t in = pmc_padded(s->in), y_stride = pmc_vector_stride(s->out);
    const dot_shape product = {
        .rows = 1, .length = in, .x_pitch = pmc_vector_stride(s->in), .w_pitch = in, .out_pitch = y_stride};
    dots(y, x, w, b, n, s->out, &product);
    for (int64_t i = 0; i < n; i++) memset(y + i * y_stride + s->out, 0, (size_t)(y_stride - s->out) * sizeof *y);
}

/* dw [out][in, padded], db [out, padded] or NULL */
static void linear_weight_gradient(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s, int64_t n,
                                   int opening) {
    const int64_t in = pmc_padded(s->in), x_stride = pmc_vector_stride(s->in), dy_stride = pmc_vector_stride(s->out);
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t e = 0; e < in; e += VL) {
            vf sum = opening ? (vf){0} : v_load(dw + o * in + e);
            for (int64_t i = 0; i < n; i++)
                sum = v_fma(v_splat(dy[i * dy_stride + o]), v_load(x + i * x_stride + e), sum);
            v_store(dw + o * in + e, sum);
        }
    for (int64_t o = 0; db && o < pmc_padded(s->out); o += VL) {
        vf sum = opening ? (vf){0} : v_load(db + o);
        for (int64_t i = 0; i < n; i++) sum += v_load(dy + i * dy_stride + o);
        v_store(db + o, sum);
    }
}

static void linear_input_gradient(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n) {
    const int64_t in = pmc_padded(s->in), dx_stride = pmc_vector_stride(s->in);
    for (int64_t i = 0; i < n; i++, dx += dx_stride, dy += pmc_vector_stride(s->out)) {
        for (int64_t e = 0; e < in; e += VL) {
            vf sum = (vf){0};
            for (int64_t o = 0; o < s->out; o++) sum = v_fma(v_splat(dy[o]), v_load(w + o * in + e), sum);
            v_store(dx + e, sum);
        }
        memset(dx + in, 0, (size_t)(dx_stride - in) * sizeof *dx);
    }
}
