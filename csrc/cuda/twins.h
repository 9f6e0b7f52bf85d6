/* Every op kind's twin, of one dtype and one device: included by twins.c and twins.cu with PMC_REAL, PMC_DOUBLE and the
 * name PMC_TWIN_OF of what finds them. */
#include "device.h"

#define PMC_ISA PMC_ISAS /* none: a thread is one lane */
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

/* No `default`: a kind without a twin is a warning, and warnings are errors. */
const pmc_twin *PMC_TWIN_OF(int64_t kind) {
    switch ((pmc_op_kind)kind) {
    case PMC_INPUT: return &input_twin;
    case PMC_OUTPUT: return &output_twin;
    case PMC_FLATTEN_FORWARD: return &flatten_forward_twin;
    case PMC_FLATTEN_BACKWARD: return &flatten_backward_twin;
    case PMC_CONV_FORWARD: return &conv_forward_twin;
    case PMC_CONV_WEIGHT_GRADIENT: return &conv_weight_gradient_twin;
    case PMC_CONV_INPUT_GRADIENT: return &conv_input_gradient_twin;
    case PMC_POOL_FORWARD: return &pool_forward_twin;
    case PMC_POOL_BACKWARD: return &pool_backward_twin;
    case PMC_AVERAGE_FORWARD: return &average_forward_twin;
    case PMC_AVERAGE_BACKWARD: return &average_backward_twin;
    case PMC_LINEAR_FORWARD: return &linear_forward_twin;
    case PMC_LINEAR_WEIGHT_GRADIENT: return &linear_weight_gradient_twin;
    case PMC_LINEAR_INPUT_GRADIENT: return &linear_input_gradient_twin;
    case PMC_ACTIVATION_FORWARD: return &activation_forward_twin;
    case PMC_ACTIVATION_BACKWARD: return &activation_backward_twin;
    case PMC_DROPOUT: return &dropout_twin;
    case PMC_NOISE: return &noise_twin;
    case PMC_WARP_FORWARD: return &warp_forward_twin;
    case PMC_WARP_BACKWARD: return &warp_backward_twin;
    case PMC_NORM_MOMENTS: return &norm_moments_twin;
    case PMC_NORM_APPLY: return &norm_apply_twin;
    case PMC_NORM_GRADIENT_SUMS: return &norm_gradient_sums_twin;
    case PMC_NORM_INPUT_GRADIENT: return &norm_input_gradient_twin;
    case PMC_SOFTMAX_FORWARD: return &softmax_forward_twin;
    case PMC_SOFTMAX_BACKWARD: return &softmax_backward_twin;
    case PMC_LOG_SOFTMAX_FORWARD: return &log_softmax_forward_twin;
    case PMC_LOG_SOFTMAX_BACKWARD: return &log_softmax_backward_twin;
    case PMC_CROSS_ENTROPY: return &cross_entropy_twin;
    case PMC_LIKELIHOOD: return &likelihood_twin;
    case PMC_EXPECTED_PROBABILITY: return &expected_probability_twin;
    case PMC_SQUARED_ERROR: return &squared_error_twin;
    case PMC_LINEAR_SPARSE_FORWARD:
    case PMC_LINEAR_TILE_FORWARD: return &linear_tile_forward_twin;
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT: return &linear_tile_weight_gradient_twin;
    case PMC_LINEAR_TILE_INPUT_GRADIENT: return &linear_tile_input_gradient_twin;
    case PMC_NORM_STATISTICS: return &norm_statistics_twin;
    case PMC_NORM_GRADIENT: return &norm_gradient_twin;
    case PMC_UPDATE: return &update_twin;
    case PMC_GRADIENT_SQUARES: return &gradient_squares_twin;
    case PMC_NORM_FOLD: return &norm_fold_twin;
    case PMC_CONV_PACK: return &conv_pack_twin;
    case PMC_OP_KINDS: return &end_of_step_twin;
    }
    return NULL;
}
