/* The kernels of one instruction set and dtype. */
#include "operation.h"
#include "peak.h"

static double peak(void *sink, int64_t repeats) { return fma_peak(sink, repeats); }

extern const pmc_kernels KERNEL_NAME(kernels);
#define ENTRY(NAME, name) [PMC_##NAME] = KERNEL_NAME(name),
const pmc_kernels KERNEL_NAME(kernels) = {.op = {PMC_OPERATIONS(ENTRY)}, .fma_peak = peak};
