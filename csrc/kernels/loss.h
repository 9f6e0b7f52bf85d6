/* Softmax, and softmax with cross-entropy from logits, on flat vectors. */

INLINE int64_t largest(const real *z, int64_t classes) {
    int64_t best = 0;
    for (int64_t i = 1; i < classes; i++)
        if (z[i] > z[best]) best = i;
    return best;
}

/* y <- exp(z - top), and zeros behind the classes; returns the sum. */
INLINE real softmax_exponentials(real *y, const real *z, real top, int64_t classes) {
    vf partial[PARTS] = {{0}};
    for (int64_t e = 0; e < classes; e += PMC_PAD)
        for (int p = 0; p < PARTS; p++) {
            vf value = v_exp(v_load(z + e + p * VL) - top);
            for (int lane = 0; lane < VL; lane++)
                if (e + p * VL + lane >= classes) value[lane] = 0;
            v_store(y + e + p * VL, value);
            partial[p] += value;
        }
    memset(y + pmc_padded(classes), 0, (size_t)(pmc_vector_stride(classes) - pmc_padded(classes)) * sizeof *y);
    return sum_partials(partial);
}

static void softmax_forward(real *y, const real *x, const pmc_classes *s, int64_t n) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        const real sum = softmax_exponentials(y, x, x[largest(x, s->classes)], s->classes);
        for (int64_t e = 0; e < s->classes; e++) y[e] /= sum;
    }
}

/* dz = y * (dy - sum of dy * y) */
static void softmax_backward(real *dy, const real *y, const pmc_classes *s, int64_t n) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, dy += stride, y += stride) {
        vf partial[PARTS] = {{0}};
        for (int64_t e = 0; e < s->classes; e += PMC_PAD)
            for (int p = 0; p < PARTS; p++)
                partial[p] = v_fma(v_load(dy + e + p * VL), v_load(y + e + p * VL), partial[p]);
        const real sum = sum_partials(partial);
        for (int64_t e = 0; e < s->classes; e++) dy[e] = y[e] * (dy[e] - sum);
    }
}

/* loss = log(sum exp z) - z[label]; correct: the first largest logit is the label's;
 * dz = (softmax - onehot) * scale */
static void cross_entropy(real *dz, double *loss, uint8_t *correct, const real *z, const int32_t *labels,
                          const pmc_classes *s, int64_t n, double scale) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, z += stride, dz += stride) {
        const int64_t best = largest(z, s->classes);
        const real sum = softmax_exponentials(dz, z, z[best], s->classes);
        loss[i] = (double)v_log(v_splat(sum))[0] - (double)(z[labels[i]] - z[best]);
        correct[i] = best == labels[i] && loss[i] == loss[i];
        for (int64_t e = 0; e < s->classes; e++) dz[e] = (dz[e] / sum - (e == labels[i])) * (real)scale;
    }
}
