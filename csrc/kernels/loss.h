/* The losses, on flat vectors. */
#pragma once
#include "softmax.h"

/* One sample's target: a label, or a row of numbers; smoothed and weighted by class. */
typedef struct {
    int64_t label; /* the target's largest class, where it is a row */
    const real *row;
    real sure, smooth; /* of the target itself, and of every class */
    const double *class_weight;
    double weight; /* of the sample */
} target;

/* The targets of the step's samples from `first` on. */
INLINE pmc_targets targets_at(const pmc_step *step, const pmc_classes *s, int64_t first) {
    const int64_t skip = step->index ? 0 : step->start + first;
    const double weight = step->weight[step->number];
    pmc_targets t;
    t.labels = step->labels ? step->labels + skip : NULL;
    t.targets = step->targets ? step->targets + skip * s->classes : NULL;
    t.sample_weight = step->sample_weight ? step->sample_weight + skip : NULL;
    t.class_weight = step->class_weight;
    t.index = pmc_step_index(step, first);
    t.scale = weight > 0 ? 1 / weight : 0;
    return t;
}

INLINE target target_of(const pmc_targets *t, const pmc_classes *s, int64_t i) {
    const int64_t at = t->index ? t->index[i] : i;
    target wanted = {.sure = (real)(1 - s->smoothing),
                     .smooth = (real)(s->smoothing / (double)s->classes),
                     .class_weight = t->class_weight,
                     .weight = t->sample_weight ? t->sample_weight[at] : 1};
    if (t->targets) {
        wanted.row = t->targets + at * s->classes;
        wanted.label = largest(wanted.row, s->classes);
    } else wanted.label = t->labels[at];
    return wanted;
}

INLINE real target_value(const target *t, int64_t e) {
    const real plain = t->row ? t->row[e] : e == t->label;
    const real value = plain * t->sure + t->smooth;
    return t->class_weight ? value * (real)t->class_weight[e] : value;
}

INLINE void finish(double *loss, uint8_t *correct, double value, int64_t best, const target *t) {
    *loss = value * t->weight;
    *correct = best == t->label && value == value;
}

/* From logits z: loss = sum of target * (log(sum exp z) - z);
 * dz = (softmax * sum of target - target) * weight * scale */
KERNEL void cross_entropy(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                          const pmc_classes *s, int64_t n) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, z += stride, dz += stride) {
        const target wanted = target_of(t, s, i);
        const int64_t best = largest(z, s->classes);
        const real sum = softmax_exponentials(dz, z, z[best], s->classes);
        memset(dz + s->classes, 0, (size_t)(stride - s->classes) * sizeof *dz);
        const double log_sum = (double)v_first(v_log(v_splat(sum)));
        double value = 0;
        real total = 0;
        for (int64_t e = 0; e < s->classes; e++) {
            const real share = target_value(&wanted, e);
            total += share;
            if (share != 0) value += (double)share * (log_sum - (double)(z[e] - z[best]));
        }
        const real scale = (real)(wanted.weight * t->scale);
        for (int64_t e = 0; e < s->classes; e++) dz[e] = (dz[e] / sum * total - target_value(&wanted, e)) * scale;
        finish(loss + i, correct + i, value + 0 * log_sum, best, &wanted);
    }
}

/* loss = -sum of target * z / divisor */
INLINE void weighted_sum(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                         const pmc_classes *s, int64_t n, double divisor) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, z += stride, dz += stride) {
        const target wanted = target_of(t, s, i);
        const real scale = (real)(-wanted.weight * t->scale / divisor);
        double value = 0;
        memset(dz, 0, (size_t)stride * sizeof *dz);
        for (int64_t e = 0; e < s->classes; e++) {
            const real share = target_value(&wanted, e);
            if (share != 0) value -= (double)share * (double)z[e];
            dz[e] = share * scale;
        }
        finish(loss + i, correct + i, value / divisor, largest(z, s->classes), &wanted);
    }
}

/* From log-probabilities z: the negative log-likelihood. */
KERNEL void likelihood(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                       const pmc_classes *s, int64_t n) {
    weighted_sum(dz, loss, correct, z, t, s, n, 1);
}

/* From probabilities z: minus the mean over all elements of probability x target, as Gorgonia's tutorial has it. */
KERNEL void expected_probability(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                                 const pmc_classes *s, int64_t n) {
    weighted_sum(dz, loss, correct, z, t, s, n, (double)s->classes);
}

/* The mean over all elements of (z - target)^2. */
KERNEL void squared_error(real *dz, double *loss, uint8_t *correct, const real *z, const pmc_targets *t,
                          const pmc_classes *s, int64_t n) {
    const int64_t stride = pmc_vector_stride(s->classes);
    for (int64_t i = 0; i < n; i++, z += stride, dz += stride) {
        const target wanted = target_of(t, s, i);
        const real scale = (real)(2 * wanted.weight * t->scale / (double)s->classes);
        double value = 0;
        memset(dz, 0, (size_t)stride * sizeof *dz);
        for (int64_t e = 0; e < s->classes; e++) {
            const real distance = z[e] - target_value(&wanted, e);
            value += (double)distance * (double)distance;
            dz[e] = distance * scale;
        }
        finish(loss + i, correct + i, value / (double)s->classes, largest(z, s->classes), &wanted);
    }
}
