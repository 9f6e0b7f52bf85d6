/* Activations, and what is random in training, as operations. */
#include "augment.h"
#include "elements.h"
#include "operation.h"

RUN(activation_forward, REF(0), REF(1), SHAPE(elements), t->n)
RUN(activation_backward, REF(0), REF(1), SHAPE(elements), t->n)

RUN(add, REF(0), REF(1), REF(2), SHAPE(sum), t->n)

/* Augmentation goes by the picture's index in the data set, and dropout by the position in the epoch. */
#define RANDOM pmc_step_random(t->step, t->first)
#define INDEX pmc_step_index(t->step, t->first)
RUN(dropout, REF(0), REF(1), SHAPE(dropout), t->n, RANDOM)
RUN(noise, REF(0), REF(1), SHAPE(noise), t->n, RANDOM, INDEX)
RUN(warp_forward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, INDEX, REF(2))
RUN(warp_backward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, INDEX, REF(2))
