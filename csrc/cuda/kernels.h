/* The kernels of every operation, of one dtype and one device: included by kernels.c and kernels.cu with PMC_REAL,
 * PMC_DOUBLE and the name PMC_DEVICE_KERNEL_OF of what finds them. */
#include "conv.h"
#include "elements.h"
#include "erasing.h"
#include "linear.h"
#include "loss.h"
#include "morphology.h"
#include "norm.h"
#include "pool.h"
#include "update.h"
#include "warp.h"

#define linear_sparse_forward_device_kernel linear_tile_forward_device_kernel /* it skips no zeros */
#define ENTRY(NAME, name) &name##_device_kernel,
static const pmc_device_kernel *const device_kernels[] = {PMC_OPERATIONS(ENTRY) & end_of_step_device_kernel};

const pmc_device_kernel *PMC_DEVICE_KERNEL_OF(int64_t kind) {
    return kind >= 0 && kind <= PMC_OP_KINDS ? device_kernels[kind] : NULL;
}
