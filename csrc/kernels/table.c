/* Compiled once for each ISA and dtype: -DPMC_ISA=PMC_AVX2 -DPMC_REAL=float -DPMC_DOUBLE=0, and the ISA's
 * flags. Everything here is static but the table, so that no other ISA's code can be linked in its place. */
#include "../pmc.h"

#include "simd.h"

#include "transpose.h"
#include "input.h"
#include "window.h"
#include "pool.h"
#include "rng.h"
#include "random.h"
#include "activation.h"
#include "elements.h"
#include "gemm.h"
#include "dots.h"
#include "patch.h"
#include "linear_sparse.h"
#include "linear.h"
#include "conv_pool.h"
#include "winograd.h"
#include "conv.h"
#include "conv_gradient.h"
#include "maps.h"
#include "augment.h"
#include "moments.h"
#include "norm.h"
#include "loss.h"
#include "optimizer.h"
#include "peak.h"

extern const pmc_kernels PMC_TABLE;
const pmc_kernels PMC_TABLE = {
    .input_u8 = input_u8,
    .input_real = input_real,
    .output_real = output_real,
    .flatten_forward = flatten_forward,
    .flatten_backward = flatten_backward,
    .conv_pack = conv_pack,
    .conv_forward = conv_forward,
    .conv_weight_gradient = conv_weight_gradient,
    .conv_input_gradient = conv_input_gradient,
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .average_forward = average_forward,
    .average_backward = average_backward,
    .linear_forward = linear_forward,
    .linear_weight_gradient = linear_weight_gradient,
    .linear_input_gradient = linear_input_gradient,
    .linear_sparse_forward = linear_sparse_forward,
    .linear_tile_forward = linear_tile_forward,
    .linear_tile_weight_gradient = linear_tile_weight_gradient,
    .linear_tile_input_gradient = linear_tile_input_gradient,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .dropout = dropout,
    .noise = noise,
    .warp_forward = warp_forward,
    .warp_backward = warp_backward,
    .norm_moments = norm_moments,
    .norm_statistics = norm_statistics,
    .norm_fold = norm_fold,
    .norm_apply = norm_apply,
    .norm_gradient_sums = norm_gradient_sums,
    .norm_gradient = norm_gradient,
    .norm_input_gradient = norm_input_gradient,
    .softmax_forward = softmax_forward,
    .softmax_backward = softmax_backward,
    .log_softmax_forward = log_softmax_forward,
    .log_softmax_backward = log_softmax_backward,
    .cross_entropy = cross_entropy,
    .likelihood = likelihood,
    .expected_probability = expected_probability,
    .squared_error = squared_error,
    .reduce = reduce,
    .sum_of_squares = sum_of_squares,
    .average = average,
    .update = {[PMC_SGD] = sgd, [PMC_ADAM] = adam, [PMC_RMSPROP] = rmsprop, [PMC_ADAGRAD] = adagrad},
    .fma_peak = fma_peak,
};
