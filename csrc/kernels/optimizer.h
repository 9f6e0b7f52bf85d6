/* Reduction of the shards' gradients, and updates, element by element. */

/* g <- the shards' gradients, added in their order */
static void reduce(real *g, const real *shards, int64_t shard_stride, int64_t shards_used, int64_t count) {
    for (int64_t e = 0; e < count; e += VL) {
        vf sum = v_load(shards + e);
        for (int64_t shard = 1; shard < shards_used; shard++) sum += v_load(shards + shard * shard_stride + e);
        v_store(g + e, sum);
    }
}

INLINE int all_finite(vf nan_or_zero) {
    real sum = 0;
    for (int i = 0; i < VL; i++) sum += nan_or_zero[i];
    return sum == 0;
}

/* SGD with momentum, Nesterov's variant and L2 weight decay, as PyTorch has it (Sutskever et al., 2013). */
static int sgd(real *w, real *velocity, const real *g, const pmc_coefficients *c, int64_t count) {
    const vf rate = v_splat((real)-c->rate), momentum = v_splat((real)c->momentum);
    const vf decay = v_splat((real)c->weight_decay);
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), step = v_fma(decay, weight, v_load(g + e));
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

/* Adam (Kingma and Ba, 2015) with L2 weight decay. */
static int adam(real *w, real *mean, real *square, const real *g, const pmc_coefficients *c, int64_t count) {
    const vf beta1 = v_splat((real)c->beta1), beta2 = v_splat((real)c->beta2), decay = v_splat((real)c->weight_decay);
    const vf fresh1 = v_splat((real)(1 - c->beta1)), fresh2 = v_splat((real)(1 - c->beta2));
    const vf rate = v_splat((real)(-c->rate / c->correction1)), epsilon = v_splat((real)c->epsilon);
    const vf unbias = v_splat((real)(1 / __builtin_sqrt(c->correction2)));
    vf finite = (vf){0};
    for (int64_t e = 0; e < count; e += VL) {
        vf weight = v_load(w + e), gradient = v_fma(decay, weight, v_load(g + e));
        vf m = v_fma(beta1, v_load(mean + e), fresh1 * gradient);
        vf v = v_fma(beta2, v_load(square + e), fresh2 * gradient * gradient);
        weight = v_fma(rate, m / v_fma(v_sqrt(v), unbias, epsilon), weight);
        v_store(mean + e, m);
        v_store(square + e, v);
        finite += v_finite(weight);
        v_store(w + e, weight);
    }
    return all_finite(finite);
}
