/* Linear layers, as operations; and their products, for benchmarks. */
#include "linear.h"
#include "linear_tile.h"
#include "optimizer.h"
#include "products.h"
#include "operation.h"

RUN(linear_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n)
RUN(linear_weight_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->opening)
RUN(linear_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n)
RUN(linear_pack, REF(0), REF(1), SHAPE(linear), t->part)
RUN(linear_sparse_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, REF(4), REF(5))
RUN(linear_tile_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->part, t->parts, REF(4), REF(5))
RUN(linear_tile_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n, t->part, REF(3), REF(4))
KERNEL_OF(linear_tile_weight_gradient) { /* the last part is the bias */
    const pmc_linear *s = SHAPE(linear);
    const int64_t out = pmc_padded(s->out), pitch = pmc_linear_pitch(s), row = t->part * PMC_TILE_BAND;
    const int64_t rows = MIN(PMC_TILE_BAND, s->in - row);
    const int bias = row >= s->in;
    int finite = 1;
    real *db = REF(1), *w = REF(4), *b = REF(5), *room = REF(6), *words = REF(7);
    real *dw = w ? room : (real *)REF(0) + row * pitch; /* what an update follows need not leave the cache */
    linear_tile_weight_gradient(dw, db, REF(2), REF(3), s, t->n, t->part, room + PMC_TILE_BAND * pitch);
    if (bias) return b && db ? updated(t->step, b, db, 1, out) : 1;
    for (int64_t i = 0; i < rows; i++) memset(dw + i * pitch + out, 0, (size_t)(pitch - out) * sizeof *dw);
    if (w) finite = updated(t->step, w + row * pitch, dw, 1, rows * pitch);
    if (w && words) linear_pack(words, w, s, t->part);
    return finite;
}

pmc_products_kernel KERNEL_NAME(products);
double KERNEL_NAME(products)(void *room, const pmc_linear *shape, int64_t n, int packs, int64_t repeats) {
    return products(room, shape, n, packs, repeats);
}
