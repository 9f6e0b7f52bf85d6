/* From the caller's [channels][height][width]. */
static void rescale(float *y, const MODEL_INPUT *x, size s, float scale, float offset) {
    int row, column, c;
    for (c = 0; c < s.c; c++)
        for (row = 0; row < s.h; row++)
            for (column = 0; column < s.w; column++) y[(row * s.w + column) * s.c + c] = (float)*x++ * scale + offset;
}
