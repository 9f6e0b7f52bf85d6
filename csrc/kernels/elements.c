/* Activations, and what is random in training, as operations. */
#include "augment.h"
#include "elements.h"
#include "erasing.h"
#include "morphology.h"
#include "operation.h"
#include "rounding.h"

RUN(activation_forward, REF(0), REF(1), SHAPE(elements), t->n)
RUN(activation_backward, REF(0), REF(1), SHAPE(elements), t->n)

RUN(add, REF(0), REF(1), REF(2), SHAPE(sum), t->n)

/* Augmentation goes by the picture's number in the data set, and dropout by the position in the epoch. */
#define RANDOM pmc_step_random(t->step, t->first)
#define NUMBERS pmc_step_numbers(t->step, t->first)
RUN(dropout, REF(0), REF(1), REF(2), SHAPE(dropout), t->n, RANDOM)
RUN(noise, REF(0), REF(1), SHAPE(noise), t->n, RANDOM, NUMBERS)
RUN(warp_forward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, NUMBERS, REF(2))
RUN(warp_backward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, NUMBERS, REF(2))
RUN(morphology_forward, REF(0), REF(1), SHAPE(morphology), t->n, RANDOM, NUMBERS, REF(2))
RUN(morphology_backward, REF(0), REF(1), REF(2), SHAPE(morphology), t->n, RANDOM, NUMBERS, REF(3))
RUN(rounding, REF(0), REF(1), &t->op->shape.image, t->n)
RUN(erase, REF(0), REF(1), SHAPE(erasing), t->n, RANDOM, NUMBERS)
