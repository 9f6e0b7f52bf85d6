/* Activations of single elements; gradients are computed from the output y. */
#pragma once
#include "vectors.h"

/* max(x, 0) + log(1 + exp(-|x|)), and x itself above the threshold */
INLINE vf softplus(vf x, const pmc_activation *f) {
    const vf scaled = x * (real)f->alpha, positive = v_select(scaled > 0, scaled, (vf){0});
    const vf small = v_exp(v_select(scaled > 0, -scaled, scaled));
    const vf y = (positive + v_log1p(small)) / (real)f->alpha;
    return v_select(scaled > (real)f->threshold, x, y);
}

INLINE vf activated(vf x, const pmc_activation *f) {
    switch ((pmc_activation_kind)f->kind) {
    case PMC_RELU: return v_select(x <= 0, (vf){0}, x);
    case PMC_TANH: return v_tanh(x);
    case PMC_LEAKY_RELU: return v_select(x > 0, x, x * (real)f->alpha);
    case PMC_ELU: return v_select(x > 0, x, v_expm1(v_select(x > 0, (vf){0}, x)) * (real)f->alpha);
    case PMC_SIGMOID: return 1 / (1 + v_exp(-x));
    case PMC_SOFTPLUS: return softplus(x, f);
    case PMC_IDENTITY:
    case PMC_ACTIVATIONS: break;
    }
    return x;
}

INLINE vf activation_gradient(vf dy, vf y, const pmc_activation *f) {
    switch ((pmc_activation_kind)f->kind) {
    case PMC_RELU: return v_select(y <= 0, (vf){0}, dy);
    case PMC_TANH: return dy * (1 - y * y);
    case PMC_LEAKY_RELU: return v_select(y > 0, dy, dy * (real)f->alpha);
    case PMC_ELU: return v_select(y > 0, dy, dy * (y + (real)f->alpha));
    case PMC_SIGMOID: return dy * (y * (1 - y));
    case PMC_SOFTPLUS: {
        const vf scaled = y * (real)f->alpha;
        return v_select(scaled > (real)f->threshold, dy, dy * -v_expm1(-scaled));
    }
    case PMC_IDENTITY:
    case PMC_ACTIVATIONS: break;
    }
    return dy;
}
