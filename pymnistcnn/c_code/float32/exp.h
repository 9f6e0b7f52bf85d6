static float exp_of(float x) {
    const float clamped = x < -104 ? -104 : x > 89 ? 89 : x;
    int k, half;
    float q, y;
    if (x != x) return x;
    q = exp_parts(clamped, &k);
    half = (k + 256) / 2 - 128; /* two factors, since one of 2^k may be too large */
    y = (q + 1) * power_of_two(half) * power_of_two(k - half);
    return y < 0x1p-126f ? 0 : y; /* no subnormal numbers */
}
