/* Runs plans: for each step of a slice, for each phase, its tasks on threads. The order of every addition is
 * a function of shapes and batch size: shards, not threads, own sums. */
#include "pmc.h"

/* One step of a run. */
typedef struct {
    pmc_plan *plan;
    pmc_run_args *args;
    const pmc_phase *phase;
    int64_t start, n; /* the step's first sample in the run, and how many */
    int64_t step, shards;
    char *arena[PMC_ARENAS];
} step_context;

static int64_t real_bytes(const pmc_plan *plan) { return plan->sizes.dtype == PMC_FLOAT64 ? 8 : 4; }
static int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

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

static void cross_entropy(const step_context *c, const pmc_op *op, const place *at) {
    int32_t labels[256];
    for (int64_t done = 0, n; done < at->n; done += n) {
        place piece = *at;
        n = smaller(at->n - done, 256);
        for (int64_t i = 0; i < n; i++) {
            const int64_t sample = c->start + at->first + done + i;
            labels[i] = c->args->labels[c->args->index ? c->args->index[sample] : sample];
        }
        const int64_t skip = done * c->plan->extents[op - c->plan->ops][0].sample;
        c->args->kernels->cross_entropy((char *)resolve(c, op, 0, &piece) + skip, c->plan->loss + at->first + done,
                                        c->plan->correct + at->first + done, (char *)resolve(c, op, 1, &piece) + skip,
                                        labels, &op->shape.classes, n, 1. / (double)c->n);
    }
}

static void run_op(const step_context *c, const pmc_op *op, const place *at) {
    const pmc_kernels *k = c->args->kernels;
    const int64_t n = at->n;
    switch ((pmc_op_kind)op->kind) {
    case PMC_INPUT:
    case PMC_OUTPUT: transfer(c, op, at); break;
    case PMC_FLATTEN_FORWARD: k->flatten_forward(REF(0), REF(1), &op->shape.image, n); break;
    case PMC_FLATTEN_BACKWARD: k->flatten_backward(REF(0), REF(1), &op->shape.image, n); break;
    case PMC_CONV_FORWARD: k->conv_forward(REF(0), REF(1), REF(2), REF(3), REF(4), &op->shape.conv, n, REF(5)); break;
    case PMC_CONV_WEIGHT_GRADIENT:
        k->conv_weight_gradient(REF(0), REF(1), REF(2), REF(3), REF(4), &op->shape.conv, n, at->opening, REF(5));
        break;
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
    case PMC_ACTIVATION_FORWARD: k->activation_forward(REF(0), REF(1), &op->shape.elements, n); break;
    case PMC_ACTIVATION_BACKWARD: k->activation_backward(REF(0), REF(1), &op->shape.elements, n); break;
    case PMC_DROPOUT: {
        const uint32_t position = c->args->first_position + (uint32_t)(c->start + at->first);
        k->dropout(REF(0), REF(1), &op->shape.dropout, n, (pmc_random){c->args->seed, c->args->epoch, position});
        break;
    }
    case PMC_SOFTMAX_FORWARD: k->softmax_forward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_SOFTMAX_BACKWARD: k->softmax_backward(REF(0), REF(1), &op->shape.classes, n); break;
    case PMC_CROSS_ENTROPY: cross_entropy(c, op, at); break;
    default: break; /* TILES scope: see below */
    }
}

/* A shard, a group of samples at a time, each group through all ops of the phase while it is in L2. */
static void shard_task(void *context, int64_t shard, int64_t thread) {
    const step_context *c = context;
    const int64_t begin = shard * c->n / c->shards, end = (shard + 1) * c->n / c->shards;
    for (int64_t first = begin; first < end; first += c->plan->sizes.group) {
        const place at = {.first = first,
                          .n = smaller(c->plan->sizes.group, end - first),
                          .shard = shard,
                          .thread = thread,
                          .opening = first == begin};
        for (int64_t i = 0; i < c->phase->ops; i++) run_op(c, c->plan->ops + c->phase->first_op + i, &at);
    }
}

/* ---- TILES scope ---- */

static int64_t tile_tasks(const pmc_op *op, int64_t n) {
    const pmc_linear *linear = &op->shape.linear;
    switch (op->kind) {
    case PMC_LINEAR_TILE_FORWARD: return blocks(n, PMC_TILE_ROWS) * blocks(pmc_padded(linear->out), PMC_TILE_COLUMNS);
    case PMC_LINEAR_TILE_WEIGHT_GRADIENT: return blocks(linear->in, PMC_TILE_BAND) + 1;
    case PMC_LINEAR_TILE_INPUT_GRADIENT: return blocks(pmc_padded(linear->in), PMC_TILE_COLUMNS);
    case PMC_UPDATE: return blocks(op->shape.rows.rows, PMC_PAD);
    case PMC_CONV_PACK: return pmc_conv_pack_tasks(&op->shape.conv);
    default: return 0;
    }
}

/* About how many elements an op in TILES scope handles. */
static int64_t tile_work(const pmc_op *op, int64_t n, int64_t shards) {
    switch (op->kind) {
    case PMC_UPDATE: return op->shape.rows.rows * op->shape.rows.length * (shards + 4);
    case PMC_CONV_PACK: return pmc_conv_panel_elements(&op->shape.conv);
    default: return op->shape.linear.in * op->shape.linear.out / 16 * n;
    }
}

/* The optimizer on `count` elements that lie `skip` elements into a parameter; the gradient is there. */
static void update(const step_context *c, const pmc_op *op, const pmc_ref *param, int64_t skip, int64_t count) {
    const pmc_run_args *a = c->args;
    const int64_t at = param->offset + skip * real_bytes(c->plan);
    char *w = c->arena[PMC_PARAM] + at, *g = c->arena[PMC_GRADIENT] + at;
    const pmc_coefficients *coefficients = a->coefficients + c->step;
    int finite = 1;
    if (a->optimizer == PMC_SGD) finite = a->kernels->sgd(w, c->arena[PMC_MOMENT1] + at, g, coefficients, count);
    else if (a->optimizer == PMC_ADAM)
        finite = a->kernels->adam(w, c->arena[PMC_MOMENT1] + at, c->arena[PMC_MOMENT2] + at, g, coefficients, count);
    if (finite) return;
    int64_t bad = __atomic_load_n(&c->args->bad_layer, __ATOMIC_RELAXED); /* the first layer of all is named */
    while ((bad < 0 || op->layer < bad) &&
           !__atomic_compare_exchange_n(&c->args->bad_layer, &bad, op->layer, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
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
        const int bias = op->ref[1].arena != PMC_NOWHERE;
        char *dw = c->arena[PMC_GRADIENT] + op->ref[0].offset;
        char *db = bias ? c->arena[PMC_GRADIENT] + op->ref[1].offset : NULL;
        k->linear_tile_weight_gradient(dw, db, REF(2), REF(3), s, c->n, task);
        if (row < s->in) update(c, op, &op->ref[0], row * out, smaller(PMC_TILE_BAND, s->in - row) * out);
        else if (bias) update(c, op, &op->ref[1], 0, out);
        break;
    }
    case PMC_UPDATE: {
        const pmc_rows *s = &op->shape.rows;
        const int64_t row = task * PMC_PAD, count = smaller(PMC_PAD, s->rows - row) * s->length;
        const int64_t skip = row * s->length, r = real_bytes(c->plan);
        k->reduce(c->arena[PMC_GRADIENT] + op->ref[0].offset + skip * r, (char *)REF(1) + skip * r,
                  c->plan->sizes.shard_bytes / r, c->shards, count);
        update(c, op, &op->ref[0], skip, count);
        break;
    }
    case PMC_CONV_PACK: k->conv_pack(REF(0), REF(1), &op->shape.conv, task); break;
    }
}

static void tile_task(void *context, int64_t task, int64_t thread) {
    const step_context *c = context;
    const pmc_op *op = c->plan->ops + c->phase->first_op;
    for (int64_t tasks; task >= (tasks = tile_tasks(op, c->n)); op++) task -= tasks;
    run_tile(c, op, task, thread);
}

/* ---- steps ---- */

/* Waking threads costs more than so many elements of work: a network of a few weights, batch 1. */
enum { WORTH_WAKING = 100000 };

static void run_tiles(step_context *c) {
    const pmc_op *ops = c->plan->ops + c->phase->first_op;
    int64_t tasks = 0, work = 0;
    for (int64_t i = 0; i < c->phase->ops; i++) {
        tasks += tile_tasks(&ops[i], c->n);
        work += tile_work(&ops[i], c->n, c->shards);
    }
    pmc_parallel_for(work < WORTH_WAKING ? 1 : c->args->threads, tasks, tile_task, c);
}

static void run_program(step_context *c, pmc_program_kind program) {
    const pmc_program *p = &c->plan->programs[program];
    for (int64_t i = p->first_phase; i < p->first_phase + p->phases; i++) {
        c->phase = &c->plan->phases[i];
        if (c->phase->scope == PMC_SCOPE_TILES) run_tiles(c);
        else pmc_parallel_for(c->args->threads, c->shards, shard_task, c);
    }
}

/* Has the caller given the arrays that the program's transfers, losses and updates want? */
static int arrays_given(const pmc_plan *plan, pmc_program_kind program, const pmc_run_args *a) {
    const pmc_program *p = &plan->programs[program];
    const void *ports[PMC_PORTS] = {[PMC_PORT_X] = a->x_u8 ? a->x_u8 : a->x_real,
                                    [PMC_PORT_Y] = a->y,
                                    [PMC_PORT_DY] = a->dy,
                                    [PMC_PORT_DX] = a->dx};
    if (!a->param || !a->gradient) return 0;
    if (a->optimizer != PMC_GRADIENT_ONLY && (!a->coefficients || !a->moment1 || !a->moment2)) return 0;
    for (const pmc_phase *phase = plan->phases + p->first_phase; phase < plan->phases + p->first_phase + p->phases;
         phase++)
        for (const pmc_op *op = plan->ops + phase->first_op; op < plan->ops + phase->first_op + phase->ops; op++) {
            if ((op->kind == PMC_INPUT || op->kind == PMC_OUTPUT) && !ports[op->shape.transfer.port]) return 0;
            if (op->kind == PMC_CROSS_ENTROPY && (!a->labels || !a->loss || !a->correct)) return 0;
        }
    return 1;
}

pmc_status pmc_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args) {
    args->done = 0;
    args->bad_layer = -1;
    if (args->batch < 1 || args->batch > plan->sizes.capacity || args->count < 1 || args->threads < 1)
        return PMC_BAD_SHAPE;
    if (program < 0 || program >= PMC_PROGRAMS || !arrays_given(plan, program, args)) return PMC_MISSING;
    if (pmc_plan_threads(plan, args->threads) != PMC_OK) return PMC_NO_MEMORY;
    step_context c = {.plan = plan,
                      .args = args,
                      .shards = 1,
                      .arena = {[PMC_PARAM] = args->param,
                                [PMC_GRADIENT] = args->gradient,
                                [PMC_MOMENT1] = args->moment1,
                                [PMC_MOMENT2] = args->moment2,
                                [PMC_PACK] = plan->pack,
                                [PMC_BATCH] = plan->batch,
                                [PMC_SHARD] = plan->shard,
                                [PMC_THREAD] = plan->thread}};
    run_program(&c, PMC_PREPARE);
    const int has_loss = program == PMC_TRAIN || program == PMC_EVALUATE;
    for (; c.start < args->count; c.start += args->batch, c.step++) {
        c.n = smaller(args->batch, args->count - c.start);
        c.shards = pmc_shards(c.n);
        run_program(&c, program);
        if (has_loss) {
            args->loss[c.step] = 0;
            args->correct[c.step] = 0;
            for (int64_t i = 0; i < c.n; i++) {
                args->loss[c.step] += plan->loss[i];
                args->correct[c.step] += plan->correct[i];
            }
        }
        if (args->bad_layer >= 0) return PMC_NOT_FINITE;
        args->done++;
    }
    return PMC_OK;
}
