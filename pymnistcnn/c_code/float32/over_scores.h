/* n scores, `step` apart; y may be x. */
typedef void scores(float *y, const float *x, int n, int step);

/* Of all scores that lie along an axis of (channels, height, width). */
static void over_scores(scores *function, float *y, const float *x, size s, int axis) {
    const int n = axis == 0 ? s.c : axis == 1 ? s.h : s.w, step = axis == 0 ? 1 : axis == 1 ? s.w * s.c : s.c;
    int first;
    for (first = 0; first < s.h * s.w * s.c; first++)
        if (first / step % n == 0) function(y + first, x + first, n, step);
}
