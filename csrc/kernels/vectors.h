/* What kernels are written in: vectors of an instruction set (simd.h), or, for a thread of a GPU, of one lane. */
#pragma once
#include "../kernels.h"
#ifdef PMC_ISA
#include "simd.h"
#else
#include "scalar.h"
#endif

/* The size of equal parts, each at most `most`. */
INLINE int64_t equal_parts(int64_t size, int64_t most) {
    const int64_t parts = (size + most - 1) / most;
    return (size + parts - 1) / parts;
}
