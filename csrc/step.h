/* What a step of a run sees: the caller's arrays, and how far the run has come. */
#pragma once

#include "shapes.h"

/* One step's coefficients, computed in Python; a row of doubles so that Python fills it as an array. */
typedef struct {
    double rate, shrink, weight_decay; /* shrink: what decoupled decay leaves of a weight; the other decay is L2 */
    double momentum, nesterov, first;  /* first: 1 at the very first step (the buffer starts) */
    double beta1, beta2, epsilon, correction1, correction2; /* Adam: corrections are 1 - beta**t; RMSprop: beta2 */
    double inside, centered;                                /* RMSprop: epsilon under the root; less the mean */
    double clip_norm;                                       /* gradients are scaled to at most this norm */
    double average;                                         /* decay of the weights' moving average */
} pmc_coefficients;

#define PMC_OPTIMIZER_KINDS(OPTIMIZER)                                                                                 \
    OPTIMIZER(SGD, sgd)                                                                                                \
    OPTIMIZER(ADAM, adam)                                                                                              \
    OPTIMIZER(RMSPROP, rmsprop)                                                                                        \
    OPTIMIZER(ADAGRAD, adagrad)
#define PMC_OPTIMIZER_NAME(NAME, name) PMC_##NAME,
typedef enum { PMC_GRADIENT_ONLY, PMC_OPTIMIZER_KINDS(PMC_OPTIMIZER_NAME) PMC_OPTIMIZERS } pmc_optimizer;
enum { PMC_MOMENTS = 3 };

/* A device has a copy of it, in which the arrays are its own. */
typedef struct {
    real *param, *gradient;               /* flat vectors, model_bytes each, as are: */
    real *moment[PMC_MOMENTS];            /* NULL where the optimizer does not use one */
    real *average;                        /* of the weights, or NULL */
    int64_t optimizer;                    /* PMC_GRADIENT_ONLY, ... */
    const pmc_coefficients *coefficients; /* a step each */
    const int64_t *index;                 /* [count] or NULL: 0, 1, 2, ... */
    const int64_t *numbers;               /* [count], of the pictures in the data set, or NULL: index says them */
    const uint8_t *x_u8;                  /* the pictures, in one of the two */
    const real *x_real;
    const int32_t *labels;       /* like the pictures, or NULL */
    const real *targets;         /* [classes] each, like the pictures, or NULL */
    const double *sample_weight; /* like the pictures, or NULL */
    const int64_t *partner;      /* [count], a picture for each to be mixed with, by its index; or NULL */
    const double *share;         /* [count], what is left of each in its mixture; given with `partner` */
    const int32_t *box;          /* [count][4]: top, bottom, left, right of what the partner covers; NULL: they blend */
    int64_t height, width;       /* of a picture that is mixed: a network may take it as a flat vector */
    const double *class_weight;  /* [classes], or NULL */
    real *y;                     /* [count] outputs, or NULL */
    const real *dy;              /* [count] gradients of the outputs, or NULL */
    real *dx;                    /* [count], or NULL */
    uint64_t seed;
    uint32_t epoch, first_position;
    double *loss;     /* out, a step each: sum over the step's samples */
    double *weight;   /* out, a step each: what a mean loss is divided by */
    int64_t *correct; /* out, a step each */

    /* Set by the runner: */
    double *sample_loss; /* of each sample of the step */
    uint8_t *sample_correct;
    int64_t start, number;       /* the step's first sample in the run, and which step it is */
    int64_t bad_layer, bad_step; /* the first that made a parameter NaN or infinite; INT64_MAX */
} pmc_step;

/* Where sample `place` of a run is in the arrays. */
PMC_INLINE int64_t pmc_step_at(const pmc_step *s, int64_t place) { return s->index ? s->index[place] : place; }

/* How much sample `place` of a run counts, and what of its target is its own: the rest is its partner's. The shares of
 * a mixture are those of the pictures, each times its sample's weight. */
typedef struct {
    double weight, own;
} pmc_counts;
PMC_INLINE pmc_counts pmc_step_counts(const pmc_step *s, int64_t place) {
    const double share = s->partner ? s->share[place] : 1;
    pmc_counts counts = {1, share};
    if (!s->sample_weight) return counts;
    const double own = share * s->sample_weight[pmc_step_at(s, place)];
    counts.weight = own;
    if (s->partner) counts.weight += (1 - share) * s->sample_weight[s->partner[place]];
    if (counts.weight > 0) counts.own = own / counts.weight;
    return counts;
}
