/* Activations of single elements; gradients are computed from the output y, or from the input x (shapes.h). */
#pragma once
#include "vectors.h"

/* max(x, 0) + log(1 + exp(-|x|)), and x itself above the threshold */
INLINE vf softplus(vf x, const pmc_activation *f) {
    const vf scaled = x * (real)f->alpha, positive = v_select(scaled > 0, scaled, (vf){0});
    const vf small = v_exp(v_select(scaled > 0, -scaled, scaled));
    const vf y = (positive + v_log1p(small)) / (real)f->alpha;
    return v_select(scaled > (real)f->threshold, x, y);
}

/* The normal distribution's share below x, erfc(-x / sqrt 2) / 2, and its density at x. For z >= 0, exp(z^2) erfc(z) is a
 * polynomial in 2 t - 1, t = 2 / (2 + z), times t: Chebyshev interpolation, to 2e-8 and 2e-17 of the value. */
INLINE vf normal_share(vf x, vf *density) {
#if PMC_DOUBLE
    const real series[] = {
        1.2565872268596197e-09,  -1.0739706490607777e-09, -1.0077813696987433e-08, 1.3309828411705419e-08,
        2.9995796909149851e-08,  -6.9915991258111026e-08, -3.2879636227603558e-09, 1.7908279015125605e-07,
        -2.8384033369582192e-07, -1.4173148256804559e-08, 9.9968105979091208e-07,  -1.8147502308396875e-06,
        -5.6220173892943639e-07, 8.0577441873480901e-06,  -1.0848266170054718e-05, -1.707374027362626e-05,
        7.2235398100233214e-05,  -1.7185840159673632e-05, -0.00033153675453693099, 0.00041864804431780765,
        0.0015453060296562169,   -0.0032395925346550142,  -0.010755330944743213,   0.018221115753461418,
        0.13973604627802735,     0.34358034220690509,     0.5107913526210115};
#else
    const real series[] = {-1.97733429e-06f, 4.20878746e-05f, -3.11484371e-05f, -0.000299199669f,
                           0.000425197107f,  0.00152899732f,  -0.00324104592f,  -0.0107515693f,
                           0.018221237f,     0.139735726f,    0.343580341f,     0.510791357f};
#endif
    const vf power = v_exp(x * x * (real)-0.5), z = v_select(x > 0, x, -x) * (real)0.70710678118654752440;
    const vf t = 2 / (2 + z);
    vf tail = v_splat(series[0]);
    for (size_t i = 1; i < sizeof series / sizeof *series; i++) tail = v_fma(tail, t + t - 1, v_splat(series[i]));
    tail = tail * t * power * (real)0.5;
    *density = power * (real)0.39894228040143267794;
    return v_select(x > 0, 1 - tail, tail);
}

/* 1 / (1 + exp(-x)) and its slope, without cancellation. */
INLINE vf logistic_share(vf x, vf *slope) {
    const vf e = v_exp(v_select(x > 0, -x, x)), share = 1 / (1 + e);
    *slope = e * share * share;
    return v_select(x > 0, share, e * share);
}

/* What GELU's approximation takes for the normal share (Hendrycks and Gimpel, 2016), and its slope. */
INLINE vf gelu_share(vf x, vf *slope) {
    const real scale = (real)1.59576912160573071176, cubic = (real)0.044715;
    const vf share = logistic_share(x * scale * v_fma(x * x, v_splat(cubic), v_splat(1)), slope);
    const vf inner = v_fma(x * x, v_splat(3 * cubic * scale), v_splat(scale));
    *slope = v_select(*slope > 0, *slope * inner, (vf){0});
    return share;
}

INLINE vf activated(vf x, const pmc_activation *f) {
    vf unused = (vf){0};
    switch ((pmc_activation_kind)f->kind) {
    case PMC_RELU: return v_select(x <= 0, (vf){0}, x);
    case PMC_TANH: return v_tanh(x);
    case PMC_LEAKY_RELU: return v_select(x > 0, x, x * (real)f->alpha);
    case PMC_ELU: return v_select(x > 0, x, v_expm1(v_select(x > 0, (vf){0}, x)) * (real)f->alpha);
    case PMC_SIGMOID: return 1 / (1 + v_exp(-x));
    case PMC_SOFTPLUS: return softplus(x, f);
    case PMC_GELU: return x * normal_share(x, &unused);
    case PMC_GELU_TANH: return x * gelu_share(x, &unused);
    case PMC_SILU: return x * logistic_share(x, &unused);
    case PMC_HARDSWISH: return v_select(x <= -3, (vf){0}, v_select(x >= 3, x, x * (x + 3) / 6));
    case PMC_IDENTITY:
    case PMC_ACTIVATIONS: break;
    }
    return x;
}

/* y [n] <- x [n], activated; y may be x */
KERNEL void activate(real *y, const real *x, int64_t n, const pmc_activation *f) {
    for (int64_t e = 0; e < n; e += VL) v_store_n(y + e, activated(v_load_n(x + e, n - e), f), n - e);
}

/* from: y or x */
INLINE vf activation_gradient(vf dy, vf from, const pmc_activation *f) {
    const vf y = from, x = from;
    vf share = (vf){0}, slope = share;
    switch ((pmc_activation_kind)f->kind) {
    case PMC_RELU: return v_select(y <= 0, (vf){0}, dy);
    case PMC_TANH: return dy * (1 - y * y);
    case PMC_LEAKY_RELU: return v_select(y > 0, dy, dy * (real)f->alpha);
    case PMC_ELU: return v_select(x > 0, dy, dy * (v_exp(v_select(x > 0, (vf){0}, x)) * (real)f->alpha));
    case PMC_SIGMOID: return dy * (y * (1 - y));
    case PMC_SOFTPLUS: {
        const vf scaled = x * (real)f->alpha;
        return v_select(scaled > (real)f->threshold, dy, dy * logistic_share(scaled, &slope));
    }
    case PMC_GELU: share = normal_share(x, &slope); break;
    case PMC_GELU_TANH: share = gelu_share(x, &slope); break;
    case PMC_SILU: share = logistic_share(x, &slope); break;
    case PMC_HARDSWISH:
        return v_select(x <= -3, (vf){0},
                        v_select(x >= 3, dy, dy * v_fma(x, v_splat(1 / (real)3), v_splat((real)0.5))));
    case PMC_IDENTITY:
    case PMC_ACTIVATIONS: return dy;
    }
    return dy * v_fma(x, slope, share); /* of x times a share of it */
}
