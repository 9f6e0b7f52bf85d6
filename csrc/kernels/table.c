/* The kernels of one instruction set and dtype. What has no products is in bfloat16 what it is in float32, and compiled
 * for that alone, under -DPMC_PLAIN_SUFFIX=avx2_f32. */
#include "factors.h"
#include "operation.h"
#if PMC_TILES
#include "amx.h"
#else
#include "peak.h"
#endif

#define PLAIN_NAME(name) PMC_JOIN(pmc_##name##_, PMC_PLAIN_SUFFIX)
#define DECLARE_PLAIN(NAME, name) pmc_kernel PLAIN_NAME(name);
PMC_OPERATIONS(DECLARE_PLAIN)

/* Is an operation's kernel in conv.c or linear.c? */
#define HAS_PRODUCTS(kind)                                                                                             \
    (((kind) >= PMC_CONV_PACK && (kind) <= PMC_CONV_INPUT_GRADIENT) ||                                                 \
     ((kind) >= PMC_LINEAR_PACK && (kind) <= PMC_LINEAR_TILE_INPUT_GRADIENT))

static double peak(void *sink, int64_t repeats) {
#if PMC_TILES
    return (void)sink, tile_peak(repeats);
#else
    return fma_peak(sink, repeats);
#endif
}

pmc_products_kernel KERNEL_NAME(products);
extern const pmc_kernels KERNEL_NAME(kernels);
#define ENTRY(NAME, name) [PMC_##NAME] = HAS_PRODUCTS(PMC_##NAME) ? KERNEL_NAME(name) : PLAIN_NAME(name),
const pmc_kernels KERNEL_NAME(kernels) = {
    .op = {PMC_OPERATIONS(ENTRY)}, .fma_peak = peak, .products = KERNEL_NAME(products)};
