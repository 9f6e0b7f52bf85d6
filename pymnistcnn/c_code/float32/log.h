/* Of a positive number x = 2^k m: log m = 2 atanh(s), s = (m - 1) / (m + 1). */
static float log_of(float x) {
    word m;
    int32_t k;
    float s, square, sum = 0;
    int i;
    m.number = x;
    k = ((int32_t)m.bits - 0x3f3504f3) >> 23;
    m.bits -= (uint32_t)k << 23;
    s = (m.number - 1) / (m.number + 1);
    square = s * s;
    for (i = 5; i > 0; i--) sum = sum * square + 2.f / (float)(2 * i + 1);
    return (float)k * (float)0.69314718055994530942 + (sum * square * s + (s + s)) + (x - x);
}
