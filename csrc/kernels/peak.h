/* The FMA peak of one core: independent chains that hide the latency. What every speed is a share of. */
#pragma once
#include "vectors.h"

static double fma_peak(real *sink, int64_t repeats) {
    vf chain[ACCUMULATORS], factor = v_splat(sink[0]), term = v_splat(sink[1]);
#pragma GCC unroll 24
    for (int i = 0; i < ACCUMULATORS; i++) chain[i] = v_splat((real)i);
    for (int64_t r = 0; r < repeats; r++)
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) chain[i] = v_fma(chain[i], factor, term);
#pragma GCC unroll 24
    for (int i = 0; i < ACCUMULATORS; i++) v_store(sink + i * VL, chain[i]);
    return 2. * VL * ACCUMULATORS * (double)repeats;
}
