/* To the caller's [channels][height][width] of floats. */
static void dequantize(float *y, const uint8_t *x, size s, int zero, float scale) {
    int c, pixel;
    for (c = 0; c < s.c; c++)
        for (pixel = 0; pixel < s.h * s.w; pixel++) *y++ = (float)(x[pixel * s.c + c] - zero) * scale;
}
