/* Device kernels of linear layers. Small ones, of w [out][in, padded], directly; large ones, of w [in][pmc_linear_pitch],
 * by tiles. */
#pragma once
#include "tile.h"

/* ---- SHARD scope ---- */

enum { DOT_THREADS = 32 };

/* A block a sample: DOT_THREADS threads share the dot product of an output. */
static int64_t linear_forward_blocks(const pmc_job *j) { return j->n; }
BLOCK linear_forward_block(const pmc_job *j, int64_t sample) {
    const pmc_linear *s = &j->op.shape.linear;
    const real *x = SAMPLE(1, sample, pmc_vector_stride(s->in)), *b = (const real *)j->ref[3];
    SHARED real partial[THREADS];
    for (int64_t first = 0; first < s->out; first += THREADS / DOT_THREADS) {
        FOR_THREADS(t) {
            const int64_t o = first + t / DOT_THREADS;
            const real *w = (const real *)j->ref[2] + o * pmc_padded(s->in);
            cascade sum = {{0}, 0};
            for (int64_t e = t % DOT_THREADS; o < s->out && e < s->in; e += DOT_THREADS) add_product(&sum, x[e], w[e]);
            partial[t] = sum_of(&sum);
        }
        FOR_THREADS(t) {
            const int64_t o = first + t;
            if (t < THREADS / DOT_THREADS && o < s->out) {
                real sum = b ? b[o] : 0;
                for (int i = 0; i < DOT_THREADS; i++) sum += partial[t * DOT_THREADS + i];
                SAMPLE(0, sample, pmc_vector_stride(s->out))[o] = sum;
            }
        }
    }
}
DEVICE_KERNEL(linear_forward)

/* dw [out][in, padded], then db [out, padded] if there is one; of each shard */
INLINE int64_t linear_weight_gradient_items(const pmc_job *j) {
    const pmc_linear *s = &j->op.shape.linear;
    return s->out * pmc_padded(s->in) + (j->ref[1] ? pmc_padded(s->out) : 0);
}
KERNEL void linear_weight_gradient_item(const pmc_job *j, int64_t shard, int64_t e) {
    const pmc_linear *s = &j->op.shape.linear;
    const int64_t row = pmc_padded(s->in), weights = s->out * row, x_stride = pmc_vector_stride(s->in);
    const int64_t o = e < weights ? e / row : e - weights, at = e % row;
    const real *x = (const real *)j->ref[3], *dy = (const real *)j->ref[2];
    cascade sum = {{0}, 0};
    for (int64_t i = first_of_shard(j, shard); i < first_of_shard(j, shard + 1); i++)
        if (e >= weights) add_value(&sum, o < s->out ? dy[i * pmc_vector_stride(s->out) + o] : 0);
        else if (at < s->in) add_product(&sum, dy[i * pmc_vector_stride(s->out) + o], x[i * x_stride + at]);
    if (e < weights) SHARD(0, shard)[e] = sum_of(&sum);
    else SHARD(1, shard)[o] = sum_of(&sum);
}
PER_SHARD(linear_weight_gradient)

INLINE int64_t linear_input_gradient_items(const pmc_job *j) { return j->op.shape.linear.in; }
KERNEL void linear_input_gradient_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_linear *s = &j->op.shape.linear;
    const real *dy = SAMPLE(1, sample, pmc_vector_stride(s->out)), *w = (const real *)j->ref[2] + e;
    real sum = 0;
    for (int64_t o = 0; o < s->out; o++) sum = v_fma(dy[o], w[o * pmc_padded(s->in)], sum);
    SAMPLE(0, sample, pmc_vector_stride(s->in))[e] = sum;
}
PER_SAMPLE(linear_input_gradient)

/* ---- TILES scope ---- */

/* A factor of a product: element (i, k) lies i * step + k * along on, of `size` rows; behind them there may be a row of
 * ones. */
typedef struct {
    const real *at;
    int64_t size, step, along;
    int ones;
} factor;

INLINE real factor_at(const factor *f, int64_t i, int64_t k, int64_t depth) {
    if (k >= depth || i >= f->size + f->ones) return 0;
    return i == f->size ? 1 : f->at[i * f->step + k * f->along];
}

/* sum = the tile of a product over the depth, on top of start[column] (or NULL) */
BLOCK matrix_tile(tile_sums *sum, const factor *a, const factor *b, const real *start, int64_t depth, tile here,
                  int64_t precision) {
    SHARED factor_rows rows;
    SHARED factor_columns columns;
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const int64_t column = here.column + fragment_at(precision, t, e).column;
            tile_begin(&sum[OWN(t)], e, start && column < b->size ? start[column] : 0);
        }
    }
    for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
        FOR_THREADS(t) { /* neighbours in memory are brought by neighbouring threads */
            for (int e = t; e < TILE_ROWS * TILE_DEPTH; e += THREADS) {
                const int i = a->step == 1 ? e % TILE_ROWS : e / TILE_DEPTH;
                const int along = a->step == 1 ? e / TILE_ROWS : e % TILE_DEPTH;
                rows[along][i] = factor_at(a, here.row + i, k + along, depth);
            }
            for (int e = t; e < TILE_COLUMNS * TILE_DEPTH; e += THREADS) {
                const int i = b->step == 1 ? e % TILE_COLUMNS : e / TILE_DEPTH;
                const int along = b->step == 1 ? e / TILE_COLUMNS : e % TILE_DEPTH;
                columns[along][i] = factor_at(b, here.column + i, k + along, depth);
            }
        }
        FOR_THREADS(t) tile_add(&sum[OWN(t)], rows, columns, t, precision);
    }
}

/* Tensor 0 of each sample [features] <- the sums of a tile of samples x features */
BLOCK store_samples(const pmc_job *j, const tile_sums *sum, tile here, int64_t features) {
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const fragment_place own = fragment_at(j->precision, t, e);
            const int64_t sample = here.row + own.row, i = here.column + own.column;
            if (sample < j->n && i < features)
                SAMPLE(0, sample, pmc_vector_stride(features))[i] = tile_sum(&sum[OWN(t)], e);
        }
    }
}

/* Words are the processor's alone. */
INLINE int64_t linear_pack_items(const pmc_job *j) { return (void)j, 0; }
KERNEL void linear_pack_item(const pmc_job *j, int64_t copy, int64_t e) { (void)j, (void)copy, (void)e; }
ALONE(linear_pack)

static int64_t linear_tile_forward_blocks(const pmc_job *j) { return tiles_of(j->n, j->op.shape.linear.out); }
BLOCK linear_tile_forward_block(const pmc_job *j, int64_t block) {
    const pmc_linear *s = &j->op.shape.linear;
    const factor x = {(const real *)j->ref[1], j->n, pmc_vector_stride(s->in), 1, 0};
    const factor w = {(const real *)j->ref[2], s->out, 1, pmc_linear_pitch(s), 0};
    const tile here = tile_of(block, j->n, s->out);
    tile_sums sum[EACH];
    matrix_tile(sum, &x, &w, (const real *)j->ref[3], s->in, here, j->precision);
    store_samples(j, sum, here, s->out);
}
DEVICE_KERNEL(linear_tile_forward)

/* dw [in][pmc_linear_pitch], and db as the gradient of an input that is always 1 */
static int64_t linear_tile_weight_gradient_blocks(const pmc_job *j) {
    const pmc_linear *s = &j->op.shape.linear;
    return tiles_of(s->in + 1, pmc_linear_pitch(s));
}
BLOCK linear_tile_weight_gradient_block(const pmc_job *j, int64_t block) {
    const pmc_linear *s = &j->op.shape.linear;
    const int64_t out = pmc_padded(s->out), pitch = pmc_linear_pitch(s);
    const factor x = {(const real *)j->ref[3], s->in, 1, pmc_vector_stride(s->in), 1};
    const factor dy = {(const real *)j->ref[2], s->out, 1, pmc_vector_stride(s->out), 0};
    const tile here = tile_of(block, s->in + 1, pitch);
    tile_sums sum[EACH];
    matrix_tile(sum, &x, &dy, NULL, j->n, here, j->precision);
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const fragment_place own = fragment_at(j->precision, t, e);
            const int64_t row = here.row + own.row, o = here.column + own.column;
            if (row < s->in && o < pitch) ((real *)j->ref[0])[row * pitch + o] = tile_sum(&sum[OWN(t)], e);
            if (row == s->in && o < out && j->ref[1]) ((real *)j->ref[1])[o] = tile_sum(&sum[OWN(t)], e);
        }
    }
}
DEVICE_KERNEL(linear_tile_weight_gradient)

static int64_t linear_tile_input_gradient_blocks(const pmc_job *j) { return tiles_of(j->n, j->op.shape.linear.in); }
BLOCK linear_tile_input_gradient_block(const pmc_job *j, int64_t block) {
    const pmc_linear *s = &j->op.shape.linear;
    const factor dy = {(const real *)j->ref[1], j->n, pmc_vector_stride(s->out), 1, 0};
    const factor w = {(const real *)j->ref[2], s->in, pmc_linear_pitch(s), 1, 0};
    const tile here = tile_of(block, j->n, s->in);
    tile_sums sum[EACH];
    matrix_tile(sum, &dy, &w, NULL, s->out, here, j->precision);
    store_samples(j, sum, here, s->in);
}
DEVICE_KERNEL(linear_tile_input_gradient)
