/* Device kernel of random erasing, a block a sample: kernels/erasing.h. */
#pragma once
#include "grid.h"
#include "../kernels/erasing.h"

static int64_t erase_blocks(const pmc_job *j) { return j->n; }

BLOCK erase_block(const pmc_job *j, int64_t sample) {
    const pmc_erasing *s = &j->op.shape.erasing;
    const int64_t stride = pmc_image_stride(&s->image), elements = image_elements(&s->image);
    real *y = SAMPLE(0, sample, stride);
    const real *x = SAMPLE(1, sample, stride);
    FOR_THREADS(t) {
        for (int64_t e = t; e < elements; e += THREADS) y[inside(&s->image, e)] = x[inside(&s->image, e)];
    }
    FOR_THREADS(t) {
        const pmc_random random = pmc_step_random(j->step, 0);
        const uint32_t picture = picture_of(random, pmc_step_numbers(j->step, 0), sample);
        const rectangle r = erased_of(s, picture, random);
        const int64_t size = (r.bottom - r.top) * (r.right - r.left) * s->image.c;
        for (int64_t first = 4 * t; first < size; first += 4 * THREADS) {
            real values[4];
            erased_values(values, first, s, picture, random);
            for (int64_t e = first; e < MIN(first + 4, size); e++)
                y[erased_place(&r, &s->image, e)] = values[e - first];
        }
    }
}
DEVICE_KERNEL(erase)
