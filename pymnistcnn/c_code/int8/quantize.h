/* From the caller's [channels][height][width] of floats. */
static void quantize(uint8_t *y, const float *x, size s, float times, float plus) {
    int c, pixel;
    for (c = 0; c < s.c; c++)
        for (pixel = 0; pixel < s.h * s.w; pixel++) {
            const float q = *x++ * times + plus;
            y[pixel * s.c + c] = (uint8_t)(q > 0 ? q < 255 ? q : 255 : 0);
        }
}
