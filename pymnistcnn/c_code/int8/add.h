/* a + b, each in steps of y's scale by multiplier / 2^shift; y may be a or b. */
static void add(uint8_t *y, const uint8_t *a, const uint8_t *b, int n, int zero_a, int zero_b, int zero_y,
                int32_t times_a, int32_t times_b, int shift) {
    int i;
    for (i = 0; i < n; i++) {
        const int64_t sum = (int64_t)(a[i] - zero_a) * times_a + (int64_t)(b[i] - zero_b) * times_b;
        y[i] = clamped(((sum + ((int64_t)1 << (shift - 1))) >> shift) + zero_y);
    }
}
