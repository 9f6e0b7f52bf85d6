/* The convolution block, as operations. */
#include "conv.h"
#include "conv_gradient.h"
#include "operation.h"

RUN(conv_pack, REF(0), REF(1), REF(2), SHAPE(conv), t->part)
KERNEL_OF(conv_forward) {
    const pmc_channels k = pmc_conv_channels(SHAPE(conv), t->part, t->parts);
    conv_forward(REF(0), REF(1), REF(2), REF(3), REF(4), REF(6), REF(7), SHAPE(conv), t->n, k.first, k.last, REF(5));
    return 1;
}
KERNEL_OF(conv_weight_gradient) {
    const pmc_channels k = pmc_conv_channels(SHAPE(conv), t->part, t->parts);
    void *nonzeros;
    const real *x = conv_rounded_pictures(REF(4), SHAPE(conv), t->n, REF(5), &nonzeros);
    conv_weight_gradient(REF(0), REF(1), REF(2), REF(3), x, SHAPE(conv), t->n, t->opening, k.first, k.last, nonzeros);
    return 1;
}
KERNEL_OF(conv_input_gradient) {
    const real *w = PAIR > 1 && !pmc_conv_depthwise(SHAPE(conv)) ? conv_rounded(REF(5), SHAPE(conv)) : REF(3);
    conv_input_gradient(REF(0), REF(1), REF(2), w, SHAPE(conv), t->n, REF(4));
    return 1;
}
