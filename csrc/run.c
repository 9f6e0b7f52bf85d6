/* Runs plans: for each step of a slice, for each phase, its tasks on threads. The order of every addition is
 * a function of shapes and batch size: shards, not threads, own sums. */
#include "pmc.h"

#include <time.h>

/* One step of a run. */
typedef struct {
    pmc_plan *plan;
    pmc_run_args *args;
    const pmc_phase *phase;
    int64_t start, n; /* the step's first sample in the run, and how many */
    int64_t step, shards;
    double weight; /* what the step's mean loss is divided by */
    pmc_program_kind program;
    pmc_team *team;
    char *arena[PMC_ARENAS];
} step_context;

static int64_t real_bytes(const pmc_plan *plan) { return plan->sizes.dtype == PMC_FLOAT64 ? 8 : 4; }
static int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Where a task works: which samples of the step, whose copies. */
typedef struct {
    int64_t first, n, shard, thread;
    int opening; /* a shard's first samples: gradients are stored, later ones added */
} place;

static void *resolve(const step_context *c, const pmc_op *op, int i, const place *at) {
    const pmc_plan *plan = c->plan;
    const pmc_ref *ref = &op->ref[i];
    if (ref->arena == PMC_NOWHERE) return NULL;
    char *base = c->arena[ref->arena] + ref->offset;
    if (ref->arena == PMC_BATCH) return base + at->first * plan->extents[op - plan->ops][i].sample;
    if (ref->arena == PMC_SHARD) return base + at->shard * plan->sizes.shard_bytes;
    if (ref->arena == PMC_THREAD) return base + at->thread * plan->sizes.thread_bytes;
    return base;
}
#define REF(i) resolve(c, op, i, at)

/* ---- SHARD scope ---- */

static void transfer(const step_context *c, const pmc_op *op, const place *at) {
    const pmc_kernels *k = c->args->kernels;
    const pmc_run_args *a = c->args;
    const pmc_transfer *s = &op->shape.transfer;
    const int64_t size = s->image.h * s->image.w * s->image.c * real_bytes(c->plan), first = c->start + at->first;
    switch (s->port) {
    case PMC_PORT_X: {
        const int64_t *index = a->index ? a->index + first : NULL;
        const int64_t skip = a->index ? 0 : first * (s->image.h * s->image.w * s->image.c);
        if (a->x_u8) k->input_u8(REF(0), a->x_u8 + skip, index, s, at->n);
        else k->input_real(REF(0), (const char *)a->x_real + skip * real_bytes(c->plan), index, s, at->n);
        break;
    }
    case PMC_PORT_DY: k->input_real(REF(0), (const char *)a->dy + first * size, NULL, s, at->n); break;
    case PMC_PORT_Y: k->output_real((char *)a->y + first * size, REF(0), s, at->n); break;
    case PMC_PORT_DX: k->output_real((char *)a->dx + first * size, REF(0), s, at->n); break;
    }
}

static void loss(const step_context *c, const pmc_op *op, const place *at) {
    const pmc_run_args *a = c->args;
    const pmc_kernels *k = a->kernels;
    const int64_t first = c->start + at->first, skip = a->index ? 0 : first;
    const pmc_classes *s = &op->shape.classes;
    const char *targets = a->targets;
    const pmc_targets t = {.labels = a->labels ? a->labels + skip : NULL,
                           .targets = targets ? targets + skip * s->classes * real_bytes(c->plan) : NULL,
                           .sample_weight = a->sample_weight ? a->sample_weight + skip : NULL,
                           .class_weight = a->class_weight,
                           .index = a->index ? a->index + first : NULL,
                           .scale = c->weight > 0 ? 1 / c->weight : 0};
    double *loss = c->plan->loss + at->first;
    uint8_t *correct = c->plan->correct + at->first;
    switch (op->kind) {
    case PMC_CROSS_ENTROPY: k->cross_entropy(REF(0), loss, correct, REF(1), &t, s, at->n); break;
    case PMC_LIKELIHOOD: k->likelihood(REF(0), loss, correct, REF(1), &t, s, at->n); break;
    case PMC_EXPECTED_PROBABILITY: k->expected_probability(REF(0), loss, correct, REF(1), &t, s, at->n); break;
    default: k->squared_error(REF(0), loss, correct, REF(1), &t, s, at->n); break;
    }
}

/* Augmentation goes by the picture's index in the data set, and dropout by the position in the epoch. */
static void augment(const step_context *c, const pmc_op *op, const place *at) {
    const pmc_kernels *k = c->args->kernels;
    const int64_t first = c->start + at->first, *index = c->args->index ? c->args->index + first : NULL;
    const pmc_random random = {c->args->seed, c->args->epoch, c->args->first_position + (uint32_t)first};
    switch (op->kind) {
    case PMC_DROPOUT: k->dropout(REF(0), REF(1), &op->shape.dropout, at->n, random); break;
    case PMC_NOISE: k->noise(REF(0), REF(1), &op->shape.noise, at->n, random, index); break;
    case PMC_WARP_FORWARD: k->warp_forward(REF(0), REF(1), &op->shape.warp, at->n, random, index, REF(2)); break;
    default: k->warp_backward(REF(0), REF(1), &op->shape.warp, at->n, random, index, REF(2)); break;
    }
}

/* Output channels first to last - 1, by a thread whose workspace may be another than what the tensors lie in. */
static void convolve(const step_context *c, const pmc_op *op, const place *at, int64_t thread, int64_t first,
                     int64_t last) {
    const pmc_kernels *k = c->args->kernels;
    const pmc_conv *s = &op->shape.conv;
    const place own = {.thread = thread};
    void *workspace = resolve(c, op, 5, &own);
    if (op->kind == PMC_CONV_FORWARD)
        k->conv_forward(REF(0), REF(1), REF(2), REF(3), REF(4), s, at->n, first, last, workspace);
    else k->conv_weight_gradient(REF(0), REF(1), REF(2), REF(3), REF(4), s, at->n, at->opening, first, last, workspace);
}

static void run_op(const step_context *c, const pmc_op *op, const place *at) {
    const pmc_kernels *k = c->args->kernels;
    const int64_t n = at->n;
    switch ((pmc_op_kind)op->kind) {
    case PMC_INPUT:
    case PMC_OUTPUT: transfer(c, op, at); break;
    case PMC_FLATTEN_FORWARD: k->flatten_forward(REF(0), REF(1), &op->shape.image, n); break;
    case PMC_FLATTEN_BACKWARD: k->flatten_backward(REF(0), REF(1), &op->shape.image, n); break;
    case PMC_CONV_FORWARD:
    case PMC_CONV_WEIGHT_GRADIENT: convolve(c, op, at, at->thread, 0, op->shape.conv.out.c); break;
    case PMC_CONV_INPUT_GRADIENT:
        k->conv_input_gradient(REF(0), REF(1), REF(2), REF(3), &op->shape.conv, n, REF(4));
        break;
    case PMC_POOL_FORWARD: k->pool_forward(REF(0), REF(1), REF(2), &op->shape.pool, n); break;
    case PMC_POOL_BACKWARD: k->pool_backward(REF(0), REF(1), REF(2), &op->shape.pool, n); break;
    case PMC_LINEAR_FORWARD: k->linear_forward(REF(0), REF(1), REF(2), REF(3), &op->shape.linear, n); break;
    case PMC_LINEAR_WEIGHT_GRADIENT:
        k->linear_weight_gradient(REF(0), REF(1), REF(2), REF(3), &op->shape.linear, n, at->opening);
        break;
    case PMC_LINEAR_INPUT_GRADIENT: k->linear_input_gradient(REF(0), REF(1), REF(2), &op->shape.linear, n); break;
    case PMC_LINEAR_SPARSE_FORWARD:
        k->linear_sparse_forward(REF(0), REF(1), REF(2), REF(3), &op->shape.linear, n);
        break;
    case PMC_ACTIVATION_FORWARD: k->activation_forward(REF(0), REF(1), &op->shape.elements, n); break;
    case PMC_ACTIVATION_BACKWARD: k->activation_backward(REF(0), REF(1), &op->shape.elements, n); break;
    case PMC_AVERAGE_FORWARD: k->average_forward(REF(0), REF(1), &op->shape.pool, n); break;
    case PMC_AVERAGE_BACKWARD: k->average_backward(REF(0), REF(1), &op->shape.pool, n); break;
    case PMC_DROPOUT:
    case PMC_NOISE:
    case PMC_WARP_FORWARD:
    case PMC_WARP_BACKWARD: augment(c, op, at); break;
    case PMC_NORM_MOMENTS: k->norm_moments(REF(0), REF(1), &op->shape.norm, n); break;
    case PMC_NORM_APPLY: k->norm_apply(REF(0), REF(1), REF(2), &op->shape.norm, n); break;
    case PMC_NORM_GRADIENT_SUMS: k->norm_gradient_sums(REF(0), REF(1), REF(2), REF(3), &op->shape.norm, n); break;
    case PMC_NORM_INPUT_GRADIENT:
        k->norm_input_gradient(REF(0), REF(1), REF(2), REF(3), REF(4), &op->shape.norm, n);
        break;
    case PMC_SOFTMAX_FORWARD: k->softmax_forward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_SOFTMAX_BACKWARD: k->softmax_backward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_LOG_SOFTMAX_FORWARD: k->log_softmax_forward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_LOG_SOFTMAX_BACKWARD: k->log_softmax_backward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_CROSS_ENTROPY:
    case PMC_LIKELIHOOD:
    case PMC_EXPECTED_PROBABILITY:
    case PMC_SQUARED_ERROR: loss(c, op, at); break;
    default: break; /* TILES scope: see below */
    }
}

/* Where a profile is asked for: seconds, and the seconds since `started` added to the op's of this thread. */
static double clock_of(const step_context *c) {
    struct timespec now;
    if (!c->args->op_seconds) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static void clocked(const step_context *c, const pmc_op *op, int64_t thread, double started) {
    if (c->args->op_seconds)
        c->args->op_seconds[thread * c->plan->sizes.ops + (op - c->plan->ops)] += clock_of(c) - started;
}

/* So many vector operations are worth handing out, a few microseconds of them, and so many are worth waking threads for
 * a single step; less is done by the calling thread, such as a network of a few weights at batch 1. */
enum { WORTH_SHARING = 8000, WORTH_SHARING_CONV = 64000, WORTH_WAKING = 80000 };

/* A batch of a few samples is one shard: threads share its convolutions by output channels. In how many pieces? */
static int64_t conv_pieces(const pmc_op *op, int64_t n, int64_t threads) {
    const pmc_conv *s = &op->shape.conv;
    if ((op->kind != PMC_CONV_FORWARD && op->kind != PMC_CONV_WEIGHT_GRADIENT) || s->groups > 1) return 1;
    const int64_t most = blocks(s->out.c, PMC_PAD), pixels = s->out.h * s->pool_h * s->out.w * s->pool_w;
    const double work = (double)(n * pixels) * (double)(s->kh * s->kw * s->in.c) * (double)most;
    return work >= WORTH_SHARING_CONV ? smaller(threads, most) : 1;
}

typedef struct {
    const step_context *c;
    const pmc_op *op;
    const place *at;
    int64_t channels; /* of a piece */
} conv_in_pieces;

static void piece_task(void *context, int64_t task, int64_t thread) {
    const conv_in_pieces *p = context;
    const int64_t first = task * p->channels;
    convolve(p->c, p->op, p->at, thread, first, smaller(first + p->channels, p->op->shape.conv.out.c));
}

/* An op of a shard; if it is the only one, the other threads help where they can. */
static void share_op(const step_context *c, const pmc_op *op, const place *at) {
    const int64_t pieces = c->shards == 1 && c->team ? conv_pieces(op, at->n, c->args->threads) : 1;
    if (pieces > 1) {
        const int64_t k = op->shape.conv.out.c;
        conv_in_pieces conv = {c, op, at, blocks(blocks(k, PMC_PAD), pieces) * PMC_PAD};
        pmc_parallel_for(c->team, blocks(k, conv.channels), piece_task, &conv);
    } else run_op(c, op, at);
}

/* A shard, a group of samples at a time, each group through all ops of the phase while it is in L2. */
static void shard_task(void *context, int64_t shard, int64_t thread) {
    const step_context *c = context;
    const int64_t begin = pmc_shard_begin(shard, c->shards, c->n), end = pmc_shard_begin(shard + 1, c->shards, c->n);
    for (int64_t first = begin; first < end; first += c->plan->sizes.group) {
        const place at = {.first = first,
                          .n = smaller(c->plan->sizes.group, end - first),
                          .shard = shard,
                          .thread = thread,
                          .opening = first == begin};
        for (int64_t i = 0; i < c->phase->ops; i++) {
            const pmc_op *op = c->plan->ops + c->phase->first_op + i;
            const double started = clock_of(c);
            share_op(c, op, &at);
            clocked(c, op, thread, started);
        }
    }
}

/* ---- TILES scope ---- */

static int64_t tile_tasks(const pmc_op *op, int64_t n) {
    const pmc_linear *linear = &op->shape.linear;
    switch (op->kind) {
    case PMC_LINEAR_TILE_FORWARD:
        return blocks(n, PMC_TILE_ROWS) * blocks(pmc_padded(linear->out), pmc_tile_columns(n));
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT: return blocks(linear->in, PMC_TILE_BAND) + 1;
    case PMC_LINEAR_TILE_INPUT_GRADIENT: return blocks(pmc_padded(linear->in), PMC_TILE_COLUMNS);
    case PMC_NORM_STATISTICS:
    case PMC_NORM_GRADIENT:
    case PMC_NORM_FOLD: return 1;
    case PMC_UPDATE: return blocks(op->shape.rows.rows * op->shape.rows.length, PMC_UPDATED);
    case PMC_GRADIENT_SQUARES: return op->shape.rows.rows;
    case PMC_CONV_PACK: return pmc_conv_pack_tasks(&op->shape.conv);
    default: return 0;
    }
}

/* About how many vector operations an op in TILES scope takes. */
static int64_t tile_work(const pmc_op *op, int64_t n, int64_t shards) {
    switch (op->kind) {
    case PMC_UPDATE: return op->shape.rows.rows * op->shape.rows.length / PMC_PAD * (shards + 4);
    case PMC_CONV_PACK: return pmc_conv_panel_elements(&op->shape.conv) / PMC_PAD;
    case PMC_NORM_STATISTICS:
    case PMC_NORM_GRADIENT: return 2 * n * op->shape.norm.image.c / PMC_PAD;
    case PMC_NORM_FOLD: return op->shape.norm.image.c / PMC_PAD;
    case PMC_GRADIENT_SQUARES: return op->shape.rows.rows * PMC_SQUARES / PMC_PAD;
    default:
        return op->shape.linear.in * op->shape.linear.out / PMC_PAD * larger(n, 8); /* a few wait for the weights */
    }
}

/* What gradients are multiplied with so that their norm is at most the step's. */
static double clip_of(const step_context *c, const double *squares) {
    const double most = c->args->coefficients ? c->args->coefficients[c->step].clip_norm : 0;
    double sum = 0;
    if (!squares || !(most > 0)) return 1;
    for (int64_t i = 0; i < pmc_squares_tasks(c->plan->sizes.model_bytes / real_bytes(c->plan)); i++) sum += squares[i];
    const double scale = most / (__builtin_sqrt(sum) + 1e-6);
    return scale < 1 ? scale : 1;
}

/* The optimizer on `count` elements that lie `skip` elements into a parameter; the gradient is there. */
static void update(const step_context *c, const pmc_op *op, const pmc_ref *param, int64_t skip, int64_t count,
                   double clip) {
    const pmc_run_args *a = c->args;
    const int64_t at = param->offset + skip * real_bytes(c->plan);
    char *w = (char *)a->param + at;
    void *moment[PMC_MOMENTS];
    if (a->optimizer == PMC_GRADIENT_ONLY) return;
    const pmc_coefficients *coefficients = a->coefficients + c->step;
    for (int i = 0; i < PMC_MOMENTS; i++) moment[i] = a->moment[i] ? (char *)a->moment[i] + at : NULL;
    const int finite = a->kernels->update[a->optimizer](w, moment, (char *)a->gradient + at, coefficients, clip, count);
    if (a->average) a->kernels->average((char *)a->average + at, w, coefficients->average, count);
    if (finite) return;
    int64_t bad = __atomic_load_n(&c->args->bad_layer, __ATOMIC_RELAXED); /* the first layer of all is named */
    while ((bad < 0 || op->layer < bad) &&
           !__atomic_compare_exchange_n(&c->args->bad_layer, &bad, op->layer, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* Where the gradient of the parameter lies that a reference names. */
static char *gradient_of(const step_context *c, const pmc_op *op, int i) {
    return op->ref[i].arena == PMC_NOWHERE ? NULL : (char *)c->args->gradient + op->ref[i].offset;
}

static void run_tile(const step_context *c, const pmc_op *op, int64_t task, int64_t thread) {
    const pmc_kernels *k = c->args->kernels;
    const place whole = {.n = c->n, .thread = thread}, *at = &whole;
    switch (op->kind) {
    case PMC_LINEAR_TILE_FORWARD:
        k->linear_tile_forward(REF(0), REF(1), REF(2), REF(3), &op->shape.linear, c->n, task);
        break;
    case PMC_LINEAR_TILE_INPUT_GRADIENT:
        k->linear_tile_input_gradient(REF(0), REF(1), REF(2), &op->shape.linear, c->n, task, REF(3));
        break;
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT: {
        const pmc_linear *s = &op->shape.linear;
        const int64_t out = pmc_padded(s->out), row = task * PMC_TILE_BAND;
        k->linear_tile_weight_gradient(gradient_of(c, op, 0), gradient_of(c, op, 1), REF(2), REF(3), s, c->n, task);
        if (s->gradient_only) break;
        if (row < s->in) update(c, op, &op->ref[0], row * out, smaller(PMC_TILE_BAND, s->in - row) * out, 1);
        else if (op->ref[1].arena != PMC_NOWHERE) update(c, op, &op->ref[1], 0, out, 1);
        break;
    }
    case PMC_NORM_STATISTICS: k->norm_statistics(REF(0), REF(1), REF(2), REF(3), REF(4), &op->shape.norm, c->n); break;
    case PMC_NORM_GRADIENT:
        k->norm_gradient(REF(0), gradient_of(c, op, 1), gradient_of(c, op, 2), REF(3), &op->shape.norm, c->n);
        break;
    case PMC_NORM_FOLD: k->norm_fold(REF(0), REF(1), REF(2), REF(3), REF(4), &op->shape.norm); break;
    case PMC_UPDATE: {
        const pmc_rows *s = &op->shape.rows;
        const int64_t skip = task * PMC_UPDATED, r = real_bytes(c->plan);
        const int64_t count = smaller(PMC_UPDATED, s->rows * s->length - skip);
        if (op->ref[1].arena != PMC_NOWHERE)
            k->reduce(gradient_of(c, op, 0) + skip * r, (char *)REF(1) + skip * r, c->plan->sizes.shard_bytes / r,
                      c->shards, count);
        if (!s->gradient_only) update(c, op, &op->ref[0], skip, count, clip_of(c, REF(2)));
        break;
    }
    case PMC_GRADIENT_SQUARES: {
        const int64_t elements = c->plan->sizes.model_bytes / real_bytes(c->plan), first = task * PMC_SQUARES;
        ((double *)REF(0))[task] = k->sum_of_squares((char *)c->args->gradient + first * real_bytes(c->plan),
                                                     smaller(PMC_SQUARES, elements - first));
        break;
    }
    case PMC_CONV_PACK: k->conv_pack(REF(0), REF(1), REF(2), &op->shape.conv, task); break;
    }
}

static void tile_task(void *context, int64_t task, int64_t thread) {
    const step_context *c = context;
    const pmc_op *op = c->plan->ops + c->phase->first_op;
    for (int64_t tasks; task >= (tasks = tile_tasks(op, c->n)); op++) task -= tasks;
    const double started = clock_of(c);
    run_tile(c, op, task, thread);
    clocked(c, op, thread, started);
}

/* ---- steps ---- */

/* Is there enough to do in a phase, for a batch of n, to be shared? */
static int worth_sharing(const step_context *c, const pmc_phase *phase, int64_t n, int64_t enough) {
    const pmc_op *ops = c->plan->ops + phase->first_op;
    int64_t work = 0;
    if (phase->scope == PMC_SCOPE_SHARD && pmc_shards(n) > 1) return 1;
    for (int64_t i = 0; i < phase->ops; i++)
        if (phase->scope == PMC_SCOPE_TILES) work += tile_work(&ops[i], n, pmc_shards(n));
        else if (conv_pieces(&ops[i], n, 2) > 1) return 1;
    return work >= enough;
}

static void run_program(step_context *c, pmc_program_kind program) {
    const pmc_program *p = &c->plan->programs[program];
    for (int64_t i = p->first_phase; i < p->first_phase + p->phases; i++) {
        c->phase = &c->plan->phases[i];
        pmc_team *team = c->team && worth_sharing(c, c->phase, c->n, WORTH_SHARING) ? c->team : NULL;
        if (c->phase->scope == PMC_SCOPE_TILES) {
            int64_t tasks = 0;
            for (int64_t op = 0; op < c->phase->ops; op++)
                tasks += tile_tasks(&c->plan->ops[c->phase->first_op + op], c->n);
            pmc_parallel_for(team, tasks, tile_task, c);
        } else pmc_parallel_for(team, c->shards, shard_task, c);
    }
}

/* How many threads a run can use: one, where no phase is worth sharing, or worth waking them for a single step. */
static int64_t threads_of(const step_context *c) {
    const pmc_program *p = &c->plan->programs[c->program];
    const int64_t enough = c->args->count > c->args->batch ? WORTH_SHARING : WORTH_WAKING;
    for (int64_t i = p->first_phase; i < p->first_phase + p->phases; i++)
        if (worth_sharing(c, &c->plan->phases[i], c->args->batch, enough)) return smaller(c->args->threads, 16);
    return 1;
}

/* Has the caller given the vectors that the optimizer reads, for all steps? */
static int moments_given(const pmc_run_args *a) {
    const int64_t steps = blocks(a->count, a->batch);
    if (a->optimizer == PMC_GRADIENT_ONLY) return 1;
    if (a->optimizer < 0 || a->optimizer >= PMC_OPTIMIZERS || !a->coefficients) return 0;
    if (a->optimizer != PMC_SGD && !a->moment[0]) return 0;
    if (a->optimizer == PMC_ADAM && !a->moment[1]) return 0;
    for (int64_t i = 0; i < steps; i++) {
        const pmc_coefficients *c = &a->coefficients[i];
        if (c->momentum != 0 && !a->moment[a->optimizer == PMC_SGD ? 0 : 1]) return 0;
        if (c->centered != 0 && !a->moment[2]) return 0;
    }
    return 1;
}

/* Has the caller given the arrays that the program's transfers, losses and updates want? */
static int arrays_given(const pmc_plan *plan, pmc_program_kind program, const pmc_run_args *a) {
    const pmc_program *p = &plan->programs[program];
    const void *ports[PMC_PORTS] = {[PMC_PORT_X] = a->x_u8 ? a->x_u8 : a->x_real,
                                    [PMC_PORT_Y] = a->y,
                                    [PMC_PORT_DY] = a->dy,
                                    [PMC_PORT_DX] = a->dx};
    const int compared = (a->labels || a->targets) && a->loss && a->weight && a->correct;
    if (!a->param || !a->gradient || !moments_given(a)) return 0;
    if ((program == PMC_TRAIN || program == PMC_EVALUATE) && !compared) return 0;
    for (const pmc_phase *phase = plan->phases + p->first_phase; phase < plan->phases + p->first_phase + p->phases;
         phase++)
        for (const pmc_op *op = plan->ops + phase->first_op; op < plan->ops + phase->first_op + phase->ops; op++) {
            if ((op->kind == PMC_INPUT || op->kind == PMC_OUTPUT) && !ports[op->shape.transfer.port]) return 0;
            if (op->kind >= PMC_CROSS_ENTROPY && op->kind <= PMC_SQUARED_ERROR && !compared) return 0;
        }
    return 1;
}

double pmc_step_weight(const pmc_run_args *a, int64_t start, int64_t n) {
    const double *of_class = a->labels && !a->targets ? a->class_weight : NULL;
    double sum = 0;
    if (!a->sample_weight && !of_class) return (double)n;
    for (int64_t i = start; i < start + n; i++) {
        const int64_t at = a->index ? a->index[i] : i;
        sum += (a->sample_weight ? a->sample_weight[at] : 1) * (of_class ? of_class[a->labels[at]] : 1);
    }
    return sum;
}

/* All steps of a run, until a parameter is no longer finite. */
static void run_steps(void *context, pmc_team *team) {
    step_context *c = context;
    pmc_run_args *args = c->args;
    const int has_loss = c->program == PMC_TRAIN || c->program == PMC_EVALUATE;
    c->team = team;
    run_program(c, PMC_PREPARE);
    for (; c->start < args->count && args->bad_layer < 0; c->start += args->batch, c->step++) {
        c->n = smaller(args->batch, args->count - c->start);
        c->shards = pmc_shards(c->n);
        if (has_loss) c->weight = pmc_step_weight(args, c->start, c->n);
        run_program(c, c->program);
        if (has_loss) {
            args->loss[c->step] = 0;
            args->weight[c->step] = c->weight;
            args->correct[c->step] = 0;
            for (int64_t i = 0; i < c->n; i++) {
                args->loss[c->step] += c->plan->loss[i];
                args->correct[c->step] += c->plan->correct[i];
            }
        }
        args->done += args->bad_layer < 0;
    }
}

pmc_status pmc_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args) {
    args->done = 0;
    args->bad_layer = -1;
    if (args->batch < 1 || args->batch > plan->sizes.capacity || args->count < 1 || args->threads < 1)
        return PMC_BAD_SHAPE;
    if (program < 0 || program >= PMC_PROGRAMS || !arrays_given(plan, program, args)) return PMC_MISSING;
    if (plan->on_device) return pmc_run_on_device(plan, program, args);
    if (pmc_plan_threads(plan, args->threads) != PMC_OK) return PMC_NO_MEMORY;
    step_context c = {.plan = plan,
                      .args = args,
                      .program = program,
                      .shards = 1,
                      .arena = {[PMC_PARAM] = args->param,
                                [PMC_PACK] = plan->pack,
                                [PMC_BATCH] = plan->batch,
                                [PMC_SHARD] = plan->shard,
                                [PMC_THREAD] = plan->thread}};
    pmc_with_threads(threads_of(&c), run_steps, &c);
    return args->bad_layer >= 0 ? PMC_NOT_FINITE : PMC_OK;
}
