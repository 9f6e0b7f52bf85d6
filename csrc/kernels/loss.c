/* Softmax and losses, as operations. */
#include "loss.h"
#include "operation.h"

RUN(softmax_forward, REF(0), REF(1), SHAPE(softmax), t->n)
RUN(softmax_backward, REF(0), REF(1), SHAPE(softmax), t->n)
RUN(log_softmax_forward, REF(0), REF(1), SHAPE(softmax), t->n)
RUN(log_softmax_backward, REF(0), REF(1), SHAPE(softmax), t->n)

#define RUN_LOSS(name)                                                                                                 \
    KERNEL_OF(name) {                                                                                                  \
        const pmc_targets targets = targets_at(t->step, t->first);                                                     \
        name(REF(0), t->step->sample_loss + t->first, t->step->sample_correct + t->first, REF(1), &targets,            \
             SHAPE(classes), t->n);                                                                                    \
        return 1;                                                                                                      \
    }
RUN_LOSS(cross_entropy)
RUN_LOSS(likelihood)
RUN_LOSS(expected_probability)
RUN_LOSS(squared_error)
