/* Pooling of its own, as operations. */
#include "pool.h"
#include "operation.h"

RUN(pool_forward, REF(0), REF(1), REF(2), SHAPE(pool), t->n)
RUN(pool_backward, REF(0), REF(1), REF(2), SHAPE(pool), t->n)
RUN(average_forward, REF(0), REF(1), SHAPE(pool), t->n)
RUN(average_backward, REF(0), REF(1), SHAPE(pool), t->n)
