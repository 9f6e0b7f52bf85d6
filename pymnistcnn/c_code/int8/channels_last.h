/* From the caller's [channels][height][width] to [height][width][channels]. */
static void channels_last(uint8_t *y, const uint8_t *x, size s) {
    int c, pixel;
    for (c = 0; c < s.c; c++)
        for (pixel = 0; pixel < s.h * s.w; pixel++) y[pixel * s.c + c] = *x++;
}
