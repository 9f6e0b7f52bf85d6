/* The convolution block, as operations. */
#include "conv.h"
#include "conv_gradient.h"
#include "operation.h"

KERNEL_OF(conv_pack) { /* filters that are to be rounded are packed as they are then */
    real *rounded = REF(3);
    if (rounded) conv_round(rounded, REF(1), REF(2), SHAPE(conv), t->part);
    conv_pack(REF(0), rounded ? rounded : REF(1), rounded ? NULL : REF(2), SHAPE(conv), t->part);
    return 1;
}
KERNEL_OF(conv_forward) {
    const pmc_piece piece = pmc_conv_piece(SHAPE(conv), t->n, t->part, t->parts);
    conv_forward(REF(0), REF(1), REF(2), REF(3), REF(4), REF(6), REF(7), REF(8), SHAPE(conv), &piece, REF(5));
    return 1;
}
KERNEL_OF(conv_weight_gradient) {
    const pmc_channels k = pmc_conv_channels(SHAPE(conv), t->part, t->parts);
    conv_weight_gradient(REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(conv), t->n, t->opening, k.first, k.last,
                         REF(5));
    return 1;
}
RUN(conv_input_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(conv), t->n, REF(4), REF(5))
