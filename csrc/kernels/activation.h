/* Activations and dropout that no convolution block took in. y may be x. Gradients are in place and computed
 * from the output y. */

/* max(x, 0) + log(1 + exp(-|x|)), and x itself above the threshold */
INLINE vf softplus(vf x, const pmc_activation *f) {
    const vf scaled = x * (real)f->alpha, positive = v_select(scaled > 0, scaled, (vf){0});
    const vf small = v_exp(v_select(scaled > 0, -scaled, scaled));
    const vf y = (positive + v_log1p(small)) / (real)f->alpha;
    return v_select(scaled > (real)f->threshold, x, y);
}

INLINE vf activated(vf x, const pmc_activation *f) {
    switch (f->kind) {
    case PMC_RELU: return v_select(x <= 0, (vf){0}, x);
    case PMC_TANH: return v_tanh(x);
    case PMC_LEAKY_RELU: return v_select(x > 0, x, x * (real)f->alpha);
    case PMC_ELU: return v_select(x > 0, x, v_expm1(v_select(x > 0, (vf){0}, x)) * (real)f->alpha);
    case PMC_SIGMOID: return 1 / (1 + v_exp(-x));
    case PMC_SOFTPLUS: return softplus(x, f);
    default: return x;
    }
}

INLINE vf activation_gradient(vf dy, vf y, const pmc_activation *f) {
    switch (f->kind) {
    case PMC_RELU: return v_select(y <= 0, (vf){0}, dy);
    case PMC_TANH: return dy * (1 - y * y);
    case PMC_LEAKY_RELU: return v_select(y > 0, dy, dy * (real)f->alpha);
    case PMC_ELU: return v_select(y > 0, dy, dy * (y + (real)f->alpha));
    case PMC_SIGMOID: return dy * (y * (1 - y));
    case PMC_SOFTPLUS: {
        const vf scaled = y * (real)f->alpha;
        return v_select(scaled > (real)f->threshold, dy, dy * -v_expm1(-scaled));
    }
    default: return dy;
    }
}

static void activation_forward(real *y, const real *x, const pmc_elements *s, int64_t n) {
    const pmc_image *image = &s->image;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image), pitch = pmc_image_pitch(image);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        if (y != x) image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pitch + image->left * image->c;
            for (int64_t e = 0; e < width; e += VL)
                v_store_n(y + at + e, activated(v_load(x + at + e), &s->activation), width - e);
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

/* y <- x * scale where kept, 0 elsewhere (Hinton et al., 2012; scaled in training). Forward and backward are
 * the same: the mask is drawn again. Element e, in the order h, w, c, of the sample at `position` is word
 * e % 4 of Philox(counter = (e / 4, position, stream, epoch), key = seed). */
static void dropout(real *y, const real *x, const pmc_dropout *s, int64_t n, pmc_random random) {
    const pmc_image *image = &s->image;
    const uint32_t threshold = (uint32_t)s->threshold;
    const real scale = (real)s->scale;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image);
    uint32_t words[4 * RANDOM_BLOCKS];
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pmc_image_pitch(image) + image->left * image->c;
            for (int64_t e = 0, count; e < width; e += count) {
                const int64_t element = row * width + e, skip = element % 4;
                count = MIN(4 * RANDOM_BLOCKS - skip, width - e);
                random_words(words, (uint32_t)(element / 4), (skip + count + 3) / 4, random.position + (uint32_t)i,
                             s->stream, random);
                for (int64_t j = 0; j < count; j++)
                    y[at + e + j] = words[skip + j] >= threshold ? x[at + e + j] * scale : 0;
            }
        }
    }
}
