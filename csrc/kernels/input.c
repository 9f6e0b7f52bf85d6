/* The caller's arrays and flattening, as operations. */
#include "input.h"
#include "operation.h"

KERNEL_OF(input) {
    const pmc_transfer *s = SHAPE(transfer);
    const pmc_step *step = t->step;
    const int64_t *index = s->port == PMC_PORT_X ? pmc_step_index(step, t->first) : NULL;
    const int64_t skip = index ? 0 : (step->start + t->first) * s->image.h * s->image.w * s->image.c;
    if (s->port == PMC_PORT_DY) input_real(REF(0), step->dy + skip, NULL, s, t->n);
    else if (step->x_u8) input_u8(REF(0), step->x_u8 + skip, index, s, t->n);
    else input_real(REF(0), step->x_real + skip, index, s, t->n);
    if (step->partner && s->port == PMC_PORT_X) mix(REF(0), step, s, t->first, t->n);
    return 1;
}
KERNEL_OF(output) {
    const pmc_transfer *s = SHAPE(transfer);
    const int64_t skip = (t->step->start + t->first) * s->image.h * s->image.w * s->image.c;
    output_real((s->port == PMC_PORT_Y ? t->step->y : t->step->dx) + skip, REF(0), s, t->n);
    return 1;
}
RUN(flatten_forward, REF(0), REF(1), SHAPE(image), t->n)
RUN(flatten_backward, REF(0), REF(1), SHAPE(image), t->n)
