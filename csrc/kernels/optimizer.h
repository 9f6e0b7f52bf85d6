/* Reduction of the shards' gradients, and updates, element by element. `clip` scales every gradient. */
#pragma once
#include "vectors.h"

/* g <- the shards' gradients, added in their order */
KERNEL void reduce(real *g, const real *shards, int64_t shard_stride, int64_t shards_used, int64_t count) {
    for (int64_t e = 0; e < count; e += VL) {
        vf sum = v_load(shards + e);
        for (int64_t shard = 1; shard < shards_used; shard++) sum += v_load(shards + shard * shard_stride + e);
        v_store(g + e, sum);
    }
}

/* The sum of the squares of g, in 16 partials. */
KERNEL double sum_of_squares(const real *g, int64_t count) {
    vf partial[PARTS] = {0};
    for (int64_t e = 0; e < count; e += PMC_PAD)
        for (int p = 0; p < PARTS; p++) {
            const vf value = v_load(g + e + p * VL);
            partial[p] = v_fma(value, value, partial[p]);
        }
    return (double)sum_partials(partial);
}

/* mean <- decay * mean + (1 - decay) * w */
KERNEL void average(real *mean, const real *w, double decay, int64_t count) {
    const vf fresh = v_splat((real)(1 - decay));
    for (int64_t e = 0; e < count; e += VL)
        v_store(mean + e, v_fma(fresh, v_load(w + e) - v_load(mean + e), v_load(mean + e)));
}

/* SGD with momentum, Nesterov's variant and L2 weight decay, as PyTorch has it (Sutskever et al., 2013).
 * moment: velocity, if there is momentum */
KERNEL int sgd(real *w, real *const moment[PMC_MOMENTS], const real *g, const pmc_coefficients *c, double clip,
               int64_t count) {
    const vf rate = v_splat((real)-c->rate), momentum = v_splat((real)c->momentum), scale = v_splat((real)clip);
    const vf decay = v_splat((real)c->weight_decay);
    real *velocity = moment[0];
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), step = v_fma(decay, weight, v_load(g + e) * scale);
        if (c->momentum != 0) {
            vf moving = c->first != 0 ? step : v_fma(momentum, v_load(velocity + e), step);
            v_store(velocity + e, moving);
            step = c->nesterov != 0 ? v_fma(momentum, moving, step) : moving;
        }
        weight = v_fma(rate, step, weight);
        finite += v_finite(weight);
        v_store(w + e, weight);
    }
    return all_finite(finite);
}

/* Adam (Kingma and Ba, 2015) with L2 weight decay, or AdamW (Loshchilov and Hutter, 2019) where shrink < 1.
 * moment: mean, mean square */
KERNEL int adam(real *w, real *const moment[PMC_MOMENTS], const real *g, const pmc_coefficients *c, double clip,
                int64_t count) {
    const vf beta1 = v_splat((real)c->beta1), beta2 = v_splat((real)c->beta2), decay = v_splat((real)c->weight_decay);
    const vf fresh1 = v_splat((real)(1 - c->beta1)), fresh2 = v_splat((real)(1 - c->beta2));
    const vf rate = v_splat((real)(-c->rate / c->correction1)), epsilon = v_splat((real)c->epsilon);
    const vf unbias = v_splat((real)(1 / __builtin_sqrt(c->correction2)));
    const vf shrink = v_splat((real)c->shrink), scale = v_splat((real)clip);
    real *mean = moment[0], *square = moment[1];
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), gradient = v_fma(decay, weight, v_load(g + e) * scale);
        vf m = v_fma(beta1, v_load(mean + e), fresh1 * gradient);
        vf v = v_fma(beta2, v_load(square + e), fresh2 * gradient * gradient);
        weight = v_fma(rate, m / v_fma(v_sqrt(v), unbias, epsilon), weight * shrink);
        v_store(mean + e, m);
        v_store(square + e, v);
        finite += v_finite(weight);
        v_store(w + e, weight);
    }
    return all_finite(finite);
}

/* RMSprop (Hinton, 2012), centred (Graves, 2013) and with momentum, epsilon inside or outside of the root.
 * moment: mean square, velocity (with momentum), mean (centred) */
KERNEL int rmsprop(real *w, real *const moment[PMC_MOMENTS], const real *g, const pmc_coefficients *c, double clip,
                   int64_t count) {
    const vf alpha = v_splat((real)c->beta2), fresh = v_splat((real)(1 - c->beta2)), rate = v_splat((real)-c->rate);
    const vf decay = v_splat((real)c->weight_decay), momentum = v_splat((real)c->momentum);
    const vf inside = v_splat(c->inside != 0 ? (real)c->epsilon : 0), scale = v_splat((real)clip);
    const vf outside = v_splat(c->inside != 0 ? 0 : (real)c->epsilon);
    real *square = moment[0], *velocity = moment[1], *mean = moment[2];
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), gradient = v_fma(decay, weight, v_load(g + e) * scale);
        vf v = v_fma(alpha, v_load(square + e), fresh * gradient * gradient), variance = v;
        v_store(square + e, v);
        if (c->centered != 0) {
            vf m = v_fma(fresh, gradient - v_load(mean + e), v_load(mean + e));
            v_store(mean + e, m);
            variance = v - m * m;
            variance = v_select(variance < 0, (vf){0}, variance); /* rounding */
        }
        vf step = gradient / (v_sqrt(variance + inside) + outside);
        if (c->momentum != 0) {
            step = v_fma(momentum, v_load(velocity + e), step);
            v_store(velocity + e, step);
        }
        weight = v_fma(rate, step, weight);
        finite += v_finite(weight);
        v_store(w + e, weight);
    }
    return all_finite(finite);
}

/* Adagrad (Duchi, Hazan, Singer, 2011). moment: sum of squares */
KERNEL int adagrad(real *w, real *const moment[PMC_MOMENTS], const real *g, const pmc_coefficients *c, double clip,
                   int64_t count) {
    const vf rate = v_splat((real)-c->rate), epsilon = v_splat((real)c->epsilon), scale = v_splat((real)clip);
    const vf decay = v_splat((real)c->weight_decay);
    real *sum = moment[0];
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), gradient = v_fma(decay, weight, v_load(g + e) * scale);
        vf squares = v_fma(gradient, gradient, v_load(sum + e));
        v_store(sum + e, squares);
        weight = v_fma(rate, gradient / (v_sqrt(squares) + epsilon), weight);
        finite += v_finite(weight);
        v_store(w + e, weight);
    }
    return all_finite(finite);
}

/* What gradients are multiplied with so that their norm, whose square the parts add up to, is at most the step's. */
INLINE double clip_of(const pmc_step *step, const double *squares, int64_t parts) {
    const double most = step->coefficients ? step->coefficients[step->number].clip_norm : 0;
    double sum = 0;
    if (!squares || !(most > 0)) return 1;
    for (int64_t i = 0; i < parts; i++) sum += squares[i];
    const double scale = most / (__builtin_sqrt(sum) + 1e-6);
    return scale < 1 ? scale : 1;
}

/* The step's optimizer on w [count], a piece of the model's parameters, whose gradient g is complete; returns 1 if all
 * stayed finite. */
KERNEL int updated(const pmc_step *step, real *w, const real *g, double clip, int64_t count) {
    const int64_t at = w - step->param;
    real *moment[PMC_MOMENTS];
    int finite = 1;
    if (step->optimizer == PMC_GRADIENT_ONLY) return 1;
    const pmc_coefficients *c = step->coefficients + step->number;
    for (int i = 0; i < PMC_MOMENTS; i++) moment[i] = step->moment[i] ? step->moment[i] + at : NULL;
    switch ((pmc_optimizer)step->optimizer) {
#define OPTIMIZER(NAME, name)                                                                                          \
    case PMC_##NAME: finite = name(w, moment, g, c, clip, count); break;
        PMC_OPTIMIZER_KINDS(OPTIMIZER)
    case PMC_GRADIENT_ONLY:
    case PMC_OPTIMIZERS: break;
    }
    if (step->average) average(step->average + at, w, c->average, count);
    return finite;
}
