/* Activations and dropout that no convolution block took in. y may be x; an activation's gradients are in place. */
#pragma once
#include "activation.h"
#include "images.h"
#include "random.h"

static void activation_forward(real *y, const real *x, const pmc_elements *s, int64_t n) {
    const pmc_image *image = &s->image;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image), pitch = pmc_image_pitch(image);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        if (y != x) image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pitch + image->left * image->c;
            activate(y + at, x + at, width, &s->activation);
        }
    }
}

static void activation_backward(real *dy, const real *y, const pmc_elements *s, int64_t n) {
    const pmc_image *image = &s->image;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image), pitch = pmc_image_pitch(image);
    for (int64_t i = 0; i < n; i++, dy += stride, y += stride)
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pitch + image->left * image->c;
            for (int64_t e = 0; e < width; e += VL)
                v_store_n(dy + at + e, activation_gradient(v_load(dy + at + e), v_load(y + at + e), &s->activation),
                          width - e);
        }
}

/* y <- a + b, or a where b is NULL; y may be a or b. */
static void add(real *y, const real *a, const real *b, const pmc_sum *s, int64_t n) {
    const int64_t width = s->out.w * s->out.c;
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(&s->out), a += pmc_image_stride(&s->a)) {
        if (y != a && y != b) image_clear_border(y, &s->out);
        for (int64_t row = 0; row < s->out.h; row++) {
            real *to = image_inside(y, &s->out) + row * pmc_image_pitch(&s->out);
            const real *of_a = a + image_start(&s->a) + row * pmc_image_pitch(&s->a);
            const real *of_b = b ? b + image_start(&s->b) + row * pmc_image_pitch(&s->b) : NULL;
            for (int64_t e = 0; e < width; e += VL)
                v_store_n(to + e, b ? v_load(of_a + e) + v_load(of_b + e) : v_load(of_a + e), width - e);
        }
        if (b) b += pmc_image_stride(&s->b);
    }
}

/* y <- x * scale where kept, 0 elsewhere (Hinton et al., 2012; scaled in training). Backward, the mask is drawn again,
 * or seen in `kept`, the output of forward: where an output that was kept is 0, no gradient is wanted. Element e, in the
 * order h, w, c, of the sample at `position` is word e % 4 of Philox(counter = (e / 4, position, stream, epoch),
 * key = seed). */
static void dropout(real *y, const real *x, const real *kept, const pmc_dropout *s, int64_t n, pmc_random random) {
    const pmc_image *image = &s->image;
    const uint32_t threshold = (uint32_t)s->threshold;
    const real scale = (real)s->scale;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image);
    uint32_t words[4 * RANDOM_BLOCKS + PMC_PAD];
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pmc_image_pitch(image) + image->left * image->c;
            for (int64_t e = 0; kept && e < width; e += VL) {
                const vi mask = v_load(kept + i * stride + at + e) != 0;
                v_store_n(y + at + e, v_select(mask, v_load(x + at + e) * v_splat(scale), (vf){0}), width - e);
            }
            for (int64_t e = 0, count; !kept && e < width; e += count) {
                const int64_t element = row * width + e, skip = element % 4;
                count = MIN(4 * RANDOM_BLOCKS - skip, width - e);
                random_words(words, (uint32_t)(element / 4), (skip + count + 3) / 4, random.position + (uint32_t)i,
                             s->stream, random);
                for (int64_t j = 0; j < count; j += VL)
                    v_store_n(y + at + e + j,
                              v_select(v_words_at_least(words + skip + j, threshold),
                                       v_load_n(x + at + e + j, count - j) * v_splat(scale), (vf){0}),
                              count - j);
            }
        }
    }
}
