/* A sum in steps of the output's scale: times multiplier / 2^shift, rounded. */
static uint8_t requantized(int32_t sum, int32_t multiplier, int shift, int zero) {
    const int64_t product = (int64_t)sum * multiplier + ((int64_t)1 << (shift - 1));
    return clamped((product >> shift) + zero);
}
