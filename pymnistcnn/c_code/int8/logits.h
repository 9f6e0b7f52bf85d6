/* The last layer with weights, whose outputs are floats; scale: of each of them. */
static void logits(const conv_shape *s, float *y, const uint8_t *x, const int8_t *w, const int32_t *b,
                   const float *scale) {
    int k;
    for (k = 0; k < s->out.c; k++) y[k] = (float)sum_of(s, x, w, b[k], k, -s->top, -s->left) * scale[k];
}
