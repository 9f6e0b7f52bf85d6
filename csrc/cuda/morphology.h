/* Device kernels of dilation and erosion, a block a sample: kernels/morphology.h. */
#pragma once
#include "grid.h"
#include "../kernels/morphology.h"

static int64_t morphology_blocks(const pmc_job *j) { return j->n; }
#define morphology_forward_blocks morphology_blocks
#define morphology_backward_blocks morphology_blocks

/* Where element e of the inside lies, in the order h, w, c, in a picture with a margin. */
INLINE int64_t inside_margin(const pmc_image *s, int64_t e) {
    const int64_t width = s->w * s->c;
    return margin_start(s) + e / width * margin_pitch(s) + e % width;
}

INLINE thickening thickening_of_sample(const pmc_job *j, int64_t sample) {
    const pmc_random random = pmc_step_random(j->step, 0);
    return thickening_of(&j->op.shape.morphology, picture_of(random, pmc_step_numbers(j->step, 0), sample), random);
}

/* Both pictures with margins, the first of them x or its negative. */
BLOCK morphology_begin(real *pictures, const real *x, const pmc_job *j, int64_t sample) {
    const pmc_image *s = &j->op.shape.image;
    FOR_THREADS(t) {
        for (int64_t e = t; e < 2 * pmc_morphology_picture(s); e += THREADS) pictures[e] = -(real)INFINITY;
    }
    FOR_THREADS(t) {
        const real sign = thickening_of_sample(j, sample).sign;
        for (int64_t e = t; e < image_elements(s); e += THREADS) pictures[inside_margin(s, e)] = x[inside(s, e)] * sign;
    }
}

BLOCK morphology_forward_block(const pmc_job *j, int64_t sample) {
    const pmc_image *s = &j->op.shape.image;
    const int64_t stride = pmc_image_stride(s), pitch = margin_pitch(s), elements = image_elements(s);
    real *pictures = SAMPLE(2, sample, 2 * pmc_morphology_picture(s)), *to = pictures + pmc_morphology_picture(s);
    real *from = pictures;
    const thickening thicker = thickening_of_sample(j, sample);
    morphology_begin(pictures, SAMPLE(1, sample, stride), j, sample);
    for (int64_t time = 0; time < thicker.times; time++) {
        FOR_THREADS(t) {
            for (int64_t e = t; e < elements; e += THREADS)
                to[inside_margin(s, e)] = dilated(from + inside_margin(s, e), pitch, s->c);
        }
        real *last = from;
        from = to;
        to = last;
    }
    FOR_THREADS(t) {
        for (int64_t e = t; e < elements; e += THREADS) {
            const real *at = from + inside_margin(s, e), before = *at, after = dilated(at, pitch, s->c);
            SAMPLE(0, sample, stride)[inside(s, e)] = v_fma(after - before, thicker.part, before) * thicker.sign;
        }
    }
}
DEVICE_KERNEL(morphology_forward)

/* The gradients are added up by a thread a channel, pixel after pixel: no two add to one place. */
BLOCK morphology_backward_block(const pmc_job *j, int64_t sample) {
    const pmc_image *s = &j->op.shape.image;
    const int64_t stride = pmc_image_stride(s), pitch = margin_pitch(s), elements = image_elements(s),
                  size = pmc_morphology_picture(s);
    real *pictures = SAMPLE(3, sample, 4 * size), *from = pictures, *to = pictures + size;
    int32_t *source = (int32_t *)(pictures + 2 * size), *next = source + size;
    const thickening thicker = thickening_of_sample(j, sample);
    morphology_begin(pictures, SAMPLE(2, sample, stride), j, sample);
    FOR_THREADS(t) {
        for (int64_t e = t; e < elements; e += THREADS) source[inside_margin(s, e)] = (int32_t)inside(s, e);
        for (int64_t e = t; e < stride; e += THREADS) SAMPLE(0, sample, stride)[e] = 0;
    }
    for (int64_t time = 0; time < thicker.times; time++) {
        FOR_THREADS(t) {
            for (int64_t e = t; e < elements; e += THREADS) {
                const int64_t at = inside_margin(s, e), best = at + dilated_from(from + at, pitch, s->c);
                to[at] = from[best];
                next[at] = source[best];
            }
        }
        real *last = from;
        int32_t *last_source = source;
        from = to;
        to = last;
        source = next;
        next = last_source;
    }
    FOR_THREADS(t) {
        real *dx = SAMPLE(0, sample, stride);
        for (int64_t e = 0; e < elements && t < s->c; e += s->c)
            for (int64_t c = t; c < s->c; c += THREADS) {
                const real g = SAMPLE(1, sample, stride)[inside(s, e + c)];
                const int64_t at = inside_margin(s, e + c);
                dx[source[at]] += g * (1 - thicker.part);
                dx[source[at + dilated_from(from + at, pitch, s->c)]] += g * thicker.part;
            }
    }
}
DEVICE_KERNEL(morphology_backward)
