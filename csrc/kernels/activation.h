/* Activations and dropout that no convolution block took in, borders and padding included (all of them map
 * 0 to 0). y may be x. Gradients are in place and computed from the output y. */

INLINE vf activated(vf x, int64_t activation) {
    if (activation == PMC_RELU) return v_select(x <= 0, (vf){0}, x);
    return activation == PMC_TANH ? v_tanh(x) : x;
}

static void activation_forward(real *y, const real *x, const pmc_elements *s, int64_t n) {
    for (int64_t e = 0; e < n * s->stride; e += VL) v_store(y + e, activated(v_load(x + e), s->activation));
}

INLINE vf activation_gradient(vf dy, vf y, int64_t activation) {
    if (activation == PMC_RELU) return v_select(y <= 0, (vf){0}, dy);
    return activation == PMC_TANH ? dy * (1 - y * y) : dy;
}

static void activation_backward(real *dy, const real *y, const pmc_elements *s, int64_t n) {
    for (int64_t e = 0; e < n * s->stride; e += VL)
        v_store(dy + e, activation_gradient(v_load(dy + e), v_load(y + e), s->activation));
}

/* y <- x * scale where kept, 0 elsewhere (Hinton et al., 2012; scaled in training). Forward and backward are
 * the same: the mask is drawn again. Element e, in the order h, w, c, of the sample at `position` is word
 * e % 4 of Philox(counter = (e / 4, position, stream, epoch), key = seed). */
static void dropout(real *y, const real *x, const pmc_dropout *s, int64_t n, pmc_random random) {
    enum { BLOCKS = 64 };
    const pmc_image *image = &s->image;
    const uint32_t threshold = (uint32_t)s->threshold, stream = (uint32_t)s->stream;
    const uint32_t key0 = (uint32_t)random.seed, key1 = (uint32_t)(random.seed >> 32);
    const real scale = (real)s->scale;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image);
    uint32_t words[4 * BLOCKS];
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pmc_image_pitch(image) + image->left * image->c;
            for (int64_t e = 0, count; e < width; e += count) {
                const int64_t element = row * width + e, skip = element % 4;
                count = MIN(4 * BLOCKS - skip, width - e);
                for (int block = 0; block < (skip + count + 3) / 4; block++)
                    philox(words + 4 * block, (uint32_t)(element / 4 + block), random.position + (uint32_t)i, stream,
                           random.epoch, key0, key1);
                for (int64_t j = 0; j < count; j++)
                    y[at + e + j] = words[skip + j] >= threshold ? x[at + e + j] * scale : 0;
            }
        }
    }
}
