/* How an operation's kernel is called: its arguments come out of a task. Units of a subject are compiled once for
 * each instruction set and dtype, with -DPMC_ISA=PMC_AVX2 -DPMC_REAL=float -DPMC_DOUBLE=0 -DPMC_SUFFIX=avx2_f32 and
 * the flags of the instruction set. Everything in them is static but these kernels, whose names end with the suffix,
 * so that no other instruction set's code can be linked in their place. */
#pragma once
#include "../kernels.h"

#define PMC_JOIN_(a, b) a##b
#define PMC_JOIN(a, b) PMC_JOIN_(a, b)
#define KERNEL_NAME(name) PMC_JOIN(pmc_##name##_, PMC_SUFFIX)

#define DECLARE(NAME, name) pmc_kernel KERNEL_NAME(name);
PMC_OPERATIONS(DECLARE)

#define REF(i) t->ref[i]
#define SHAPE(name) &t->op->shape.name
#define KERNEL_OF(name) int KERNEL_NAME(name)(const pmc_task *t)
#define RUN(name, ...)                                                                                                 \
    KERNEL_OF(name) {                                                                                                  \
        name(__VA_ARGS__);                                                                                             \
        return 1;                                                                                                      \
    }
