/* Linear layers, as operations. */
#include "factors.h"
#include "linear.h"
#if PMC_TILES
#include "amx_linear.h"
#else
#include "linear_large.h"
#endif
#include "optimizer.h"
#include "operation.h"

RUN(linear_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n)
RUN(linear_weight_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->opening)
RUN(linear_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n)
RUN(linear_sparse_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, REF(4))
RUN(linear_tile_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->part, t->parts, REF(4))
RUN(linear_tile_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n, t->part, REF(3))
KERNEL_OF(linear_tile_weight_gradient) { /* the last part is the bias */
    const pmc_linear *s = SHAPE(linear);
    const int64_t out = pmc_padded(s->out), row = t->part * PMC_TILE_BAND;
    const int bias = row >= s->in;
    real *dw = REF(0), *db = REF(1), *w = REF(4), *b = REF(5);
    linear_tile_weight_gradient(dw, db, REF(2), REF(3), s, t->n, t->part, REF(6));
    if (bias) return b ? updated(t->step, b, db, 1, out) : 1;
    return w ? updated(t->step, w + row * out, dw + row * out, 1, MIN(PMC_TILE_BAND, s->in - row) * out) : 1;
}
