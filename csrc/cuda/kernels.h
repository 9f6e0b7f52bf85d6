/* The kernels of every operation, of one dtype and one device: included by kernels.c and kernels.cu with PMC_REAL,
 * PMC_DOUBLE and the name PMC_DEVICE_KERNEL_OF of what finds them. */
#include "device.h"

#include "../kernels/scalar.h"
#include "../kernels/rng.h"
#include "../kernels/random.h"
#include "../kernels/activation.h"
#include "../kernels/window.h"
#include "../kernels/maps.h"
#include "../kernels/moments.h"
#include "../kernels/loss.h"
#include "../kernels/optimizer.h"

#include "grid.h"
#include "elements.h"
#include "pool.h"
#include "warp.h"
#include "norm.h"
#include "loss.h"
#include "tile.h"
#include "linear.h"
#include "conv.h"
#include "update.h"

#define linear_sparse_forward_device_kernel linear_tile_forward_device_kernel /* it skips no zeros */
#define ENTRY(NAME, name) &name##_device_kernel,
static const pmc_device_kernel *const device_kernels[] = {PMC_OPERATIONS(ENTRY) & end_of_step_device_kernel};

const pmc_device_kernel *PMC_DEVICE_KERNEL_OF(int64_t kind) {
    return kind >= 0 && kind <= PMC_OP_KINDS ? device_kernels[kind] : NULL;
}
