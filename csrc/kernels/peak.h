/* The FMA peak of one core: independent chains that hide the latency. What every speed is a share of. */
#pragma once
#include "vectors.h"

static double fma_peak(real *sink, int64_t repeats) {
    enum { CHAINS = 10 };
    vf chain[CHAINS], factor = v_splat(sink[0]), term = v_splat(sink[1]);
    for (int i = 0; i < CHAINS; i++) chain[i] = v_splat((real)i);
    for (int64_t r = 0; r < repeats; r++)
        for (int i = 0; i < CHAINS; i++) chain[i] = v_fma(chain[i], factor, term);
    for (int i = 0; i < CHAINS; i++) v_store(sink + i * VL, chain[i]);
    return 2. * VL * CHAINS * (double)repeats;
}
