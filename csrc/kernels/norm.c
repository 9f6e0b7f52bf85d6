/* Batch norm, as operations. */
#include "norm.h"
#include "operation.h"

RUN(norm_moments, REF(0), REF(1), SHAPE(norm), t->n)
KERNEL_OF(norm_statistics) { return norm_statistics(REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm), t->n); }
RUN(norm_fold, REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm))
RUN(norm_apply, REF(0), REF(1), REF(2), SHAPE(norm), t->n)
RUN(norm_gradient_sums, REF(0), REF(1), REF(2), REF(3), SHAPE(norm), t->n)
RUN(norm_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(norm), t->n)
RUN(norm_input_gradient, REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm), t->n)
