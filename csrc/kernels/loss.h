/* The losses, on flat vectors. */
#pragma once
#include "softmax.h"

/* A label, or a row of numbers. */
typedef struct {
    int64_t label;
    const real *row;
} truth;

/* One sample's target, of its own and, if it is mixed, of its partner; smoothed and weighted by class. */
typedef struct {
    truth own, other;
    real own_share, other_share;
    int64_t answer;    /* the largest class */
    real sure, smooth; /* of the target itself, and of every class */
    const double *class_weight;
    double weight; /* of the sample */
} target;

/* The targets of the step's samples from `first` on. */
INLINE pmc_targets targets_at(const pmc_step *step, int64_t first) {
    const double weight = step->weight[step->number];
    const pmc_targets t = {step, step->start + first, weight > 0 ? 1 / weight : 0};
    return t;
}

INLINE truth truth_at(const pmc_step *step, const pmc_classes *s, int64_t at) {
    truth t = {0, NULL};
    if (step->targets) t.row = step->targets + at * s->classes;
    else t.label = step->labels[at];
    return t;
}
INLINE real truth_value(const truth *t, int64_t e) { return t->row ? t->row[e] : e == t->label; }
INLINE real plain_value(const target *t, int64_t e) {
    const real own = truth_value(&t->own, e);
    return t->other_share != 0 ? own * t->own_share + truth_value(&t->other, e) * t->other_share : own;
}

INLINE int64_t answer_of(const target *t, const pmc_classes *s) {
    int64_t best = 0;
    if (t->other_share == 0) return t->own.row ? largest(t->own.row, s->classes) : t->own.label;
    for (int64_t e = 1; e < s->classes; e++)
        if (plain_value(t, e) > plain_value(t, best)) best = e;
    return best;
}

INLINE target target_of(const pmc_targets *t, const pmc_classes *s, int64_t i) {
    const pmc_step *step = t->step;
    const pmc_counts counts = pmc_step_counts(step, t->first + i);
    target wanted = {.own = truth_at(step, s, pmc_step_at(step, t->first + i)),
                     .own_share = (real)counts.own,
                     .other_share = (real)(1 - counts.own),
                     .sure = (real)(1 - s->smoothing),
                     .smooth = (real)(s->smoothing / (double)s->classes),
                     .class_weight = step->class_weight,
                     .weight = counts.weight};
    if (step->partner) wanted.other = truth_at(step, s, step->partner[t->first + i]);
    wanted.answer = answer_of(&wanted, s);
    return wanted;
}

INLINE real target_value(const target *t, int64_t e) {
    const real value = plain_value(t, e) * t->sure + t->smooth;
    return t->class_weight ? value * (real)t->class_weight[e] : value;
}

INLINE void finish(double *loss, uint8_t *correct, double value, int64_t best, const target *t) {
    *loss = value * t->weight;
    *correct = best == t->answer && value == value;
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
