/* Max-pooling of its own, with any stride and padding; a convolution's non-overlapping pool is in conv.h. */

/* y image `out`, argmax int32 [oh][ow][c]: the winner's offset in x image `in`; the first maximum wins ties,
 * NaN wins over everything, padding never. */
static void pool_forward(real *y, int32_t *argmax, const real *x, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, pitch = pmc_image_pitch(&s->in);
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(&s->out), x += pmc_image_stride(&s->in)) {
        image_clear_border(y, &s->out);
        for (int64_t oy = 0; oy < s->out.h; oy++)
            for (int64_t ox = 0; ox < s->out.w; ox++, argmax += c) {
                real *best = image_inside(y, &s->out) + oy * pmc_image_pitch(&s->out) + ox * c;
                const int64_t y0 = oy * s->stride_h - s->pad_h, x0 = ox * s->stride_w - s->pad_w;
                const int64_t first_y = y0 < 0 ? 0 : y0, first_x = x0 < 0 ? 0 : x0;
                for (int64_t iy = first_y; iy < MIN(y0 + s->kh, s->in.h); iy++)
                    for (int64_t ix = first_x; ix < MIN(x0 + s->kw, s->in.w); ix++) {
                        const int64_t offset = (s->in.top + iy) * pitch + (s->in.left + ix) * c;
                        const int opening = iy == first_y && ix == first_x;
                        for (int64_t channel = 0; channel < c; channel++) {
                            const real value = x[offset + channel];
                            if (opening || value > best[channel] || value != value) {
                                best[channel] = value;
                                argmax[channel] = (int32_t)(offset + channel);
                            }
                        }
                    }
            }
    }
}

static void pool_backward(real *dx, const real *dy, const int32_t *argmax, const pmc_pool *s, int64_t n) {
    const int64_t c = s->in.c, stride = pmc_image_stride(&s->in);
    for (int64_t i = 0; i < n; i++, dy += pmc_image_stride(&s->out), dx += stride) {
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t oy = 0; oy < s->out.h; oy++) {
            const real *g = dy + (s->out.top + oy) * pmc_image_pitch(&s->out) + s->out.left * c;
            for (int64_t e = 0; e < s->out.w * c; e++, argmax++)
                if ((uint32_t)*argmax < stride) dx[*argmax] += g[e]; /* memory is safe whatever it holds */
        }
    }
}
