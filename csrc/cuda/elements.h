/* Device kernels that go element by element: the caller's arrays, flattening, activations, dropout, noise. Borders
 * and slack of images are not written, as no kernel reads them. */
#pragma once
#include "grid.h"
#include "../kernels/activation.h"
#include "../kernels/maps.h"
#include "../kernels/mixing.h"

INLINE int64_t transfer_items(const pmc_job *j) { return image_elements(&j->op.shape.transfer.image); }
#define input_items transfer_items
#define output_items transfer_items

INLINE real pixel_of(const pmc_step *step, const pmc_transfer *s, int64_t at, int64_t e) {
    const int64_t from = at * image_elements(&s->image) + e;
    return (step->x_u8 ? (real)step->x_u8[from] : step->x_real[from]) * (real)s->scale + (real)s->offset;
}

KERNEL void input_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_transfer *s = &j->op.shape.transfer;
    const pmc_step *step = j->step;
    const int64_t place = step->start + sample;
    real *x = SAMPLE(0, sample, pmc_image_stride(&s->image)) + inside_by_channel(&s->image, e);
    if (s->port == PMC_PORT_DY) {
        *x = step->dy[place * image_elements(&s->image) + e] * (real)s->scale + (real)s->offset;
        return;
    }
    *x = pixel_of(step, s, pmc_step_at(step, place), e);
    if (!step->partner) return;
    const int64_t row = e / step->width % step->height, column = e % step->width;
    const mixed_part part = mixed_part_of(step, place, step->height, step->width);
    if (row >= part.top && row < part.bottom && column >= part.left && column < part.right)
        *x = mixed(*x, pixel_of(step, s, step->partner[place], e), part.share);
}
PER_SAMPLE(input)

KERNEL void output_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_transfer *s = &j->op.shape.transfer;
    real *to = s->port == PMC_PORT_Y ? j->step->y : j->step->dx;
    const real value = SAMPLE(0, sample, pmc_image_stride(&s->image))[inside_by_channel(&s->image, e)];
    to[(j->step->start + sample) * image_elements(&s->image) + e] = value * (real)s->scale;
}
PER_SAMPLE(output)

INLINE int64_t flatten_items(const pmc_job *j) { return image_elements(&j->op.shape.image); }
#define flatten_forward_items flatten_items
#define flatten_backward_items flatten_items

KERNEL void flatten_forward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_image *s = &j->op.shape.image;
    SAMPLE(0, sample, pmc_vector_stride(image_elements(s)))
    [e] = SAMPLE(1, sample, pmc_image_stride(s))[inside_by_channel(s, e)];
}
PER_SAMPLE(flatten_forward)

KERNEL void flatten_backward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_image *s = &j->op.shape.image;
    SAMPLE(0, sample, pmc_image_stride(s))
    [inside_by_channel(s, e)] = SAMPLE(1, sample, pmc_vector_stride(image_elements(s)))[e];
}
PER_SAMPLE(flatten_backward)

INLINE int64_t activation_items(const pmc_job *j) { return image_elements(&j->op.shape.elements.image); }
#define activation_forward_items activation_items
#define activation_backward_items activation_items

KERNEL void activation_forward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_elements *s = &j->op.shape.elements;
    const int64_t stride = pmc_image_stride(&s->image), at = inside(&s->image, e);
    SAMPLE(0, sample, stride)[at] = activated(SAMPLE(1, sample, stride)[at], &s->activation);
}
PER_SAMPLE(activation_forward)

KERNEL void activation_backward_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_elements *s = &j->op.shape.elements;
    const int64_t stride = pmc_image_stride(&s->image), at = inside(&s->image, e);
    real *dy = SAMPLE(0, sample, stride) + at;
    *dy = activation_gradient(*dy, SAMPLE(1, sample, stride)[at], &s->activation);
}
PER_SAMPLE(activation_backward)

INLINE int64_t add_items(const pmc_job *j) { return image_elements(&j->op.shape.sum.out); }
KERNEL void add_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_sum *s = &j->op.shape.sum;
    const real a = SAMPLE(1, sample, pmc_image_stride(&s->a))[inside(&s->a, e)];
    const real b = j->ref[2] ? SAMPLE(2, sample, pmc_image_stride(&s->b))[inside(&s->b, e)] : 0;
    real *y = SAMPLE(0, sample, pmc_image_stride(&s->out));
    y[inside(&s->out, e)] = a + b;
}
PER_SAMPLE(add)

/* An item is the four elements of a random block. */
INLINE int64_t dropout_items(const pmc_job *j) { return blocks_of(image_elements(&j->op.shape.dropout.image), 4); }
KERNEL void dropout_item(const pmc_job *j, int64_t sample, int64_t block) {
    const pmc_dropout *s = &j->op.shape.dropout;
    const pmc_random random = pmc_step_random(j->step, 0);
    const int64_t stride = pmc_image_stride(&s->image), elements = image_elements(&s->image);
    const real *kept = j->ref[2] ? SAMPLE(2, sample, stride) : NULL;
    uint32_t words[4];
    if (!kept) random_words(words, (uint32_t)block, 1, random.position + (uint32_t)sample, s->stream, random);
    for (int64_t e = 4 * block; e < MIN(4 * block + 4, elements); e++) {
        const int64_t at = inside(&s->image, e);
        const real x = SAMPLE(1, sample, stride)[at];
        const int is_kept = kept ? kept[at] != 0 : words[e % 4] >= (uint32_t)s->threshold;
        SAMPLE(0, sample, stride)[at] = is_kept ? x * (real)s->scale : 0;
    }
}
PER_SAMPLE(dropout)

/* An item is the 32 elements that normal numbers come for. */
INLINE int64_t noise_items(const pmc_job *j) {
    return blocks_of(image_elements(&j->op.shape.noise.image), 2 * PMC_PAD);
}
KERNEL void noise_item(const pmc_job *j, int64_t sample, int64_t chunk) {
    const pmc_noise *s = &j->op.shape.noise;
    const pmc_random random = pmc_step_random(j->step, 0);
    const int64_t stride = pmc_image_stride(&s->image), elements = image_elements(&s->image),
                  first = 2 * PMC_PAD * chunk;
    uint32_t words[2 * PMC_PAD];
    real numbers[2 * PMC_PAD];
    random_words(words, (uint32_t)(chunk * (PMC_PAD / 2)), PMC_PAD / 2,
                 picture_of(random, pmc_step_numbers(j->step, 0), sample), s->stream, random);
    normal_numbers(numbers, words);
    for (int64_t e = first; e < MIN(first + 2 * PMC_PAD, elements); e++) {
        const int64_t at = inside(&s->image, e);
        SAMPLE(0, sample, stride)[at] = v_fma((real)s->std, numbers[e - first], SAMPLE(1, sample, stride)[at]);
    }
}
PER_SAMPLE(noise)

/* On a device products round their factors themselves. */
INLINE int64_t rounding_items(const pmc_job *j) { return (void)j, 0; }
KERNEL void rounding_item(const pmc_job *j, int64_t copy, int64_t e) { (void)j, (void)copy, (void)e; }
ALONE(rounding)
