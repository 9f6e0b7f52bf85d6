/* From [height][width][channels] to [channels][height][width]. */
static void channels_first(uint8_t *y, const uint8_t *x, size s) {
    int c, pixel;
    for (c = 0; c < s.c; c++)
        for (pixel = 0; pixel < s.h * s.w; pixel++) *y++ = x[pixel * s.c + c];
}
