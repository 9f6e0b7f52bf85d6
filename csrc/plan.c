/* A plan is checked here, once: every shape, every size and every reference. Runs then trust it. */
#include "plan.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

static int between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

/* ---- checks ---- */

pmc_status pmc_op_extents(pmc_extent extents[PMC_REFS], const pmc_op *op, const pmc_plan_sizes *sizes) {
    memset(extents, 0, PMC_REFS * sizeof *extents);
    if (!between(op->kind, 0, PMC_OP_KINDS - 1)) return PMC_BAD_SHAPE;
    const pmc_operation *operation = pmc_operations[op->kind];
    if (!operation->fits(op, sizes)) return PMC_BAD_SHAPE;
    for (int i = 0; i < PMC_REFS && operation->ref[i].name; i++) {
        const int64_t bytes = operation->ref[i].bytes(op, sizes);
        if (operation->ref[i].flags & PMC_EACH_SAMPLE) extents[i].sample = bytes;
        else extents[i].whole = bytes;
    }
    return PMC_OK;
}

/* In TILES scope a task sees all samples: they are there together. */
static int arena_fits(const pmc_operation *operation, int i, int64_t arena) {
    if (!between(arena, 0, PMC_ARENAS - 1) || !(operation->ref[i].flags >> arena & 1)) return 0;
    return !(arena == PMC_THREAD && operation->scope == PMC_SCOPE_TILES && operation->ref[i].flags & PMC_EACH_SAMPLE);
}

/* The bytes [begin, end) of its arena that a reference names. */
typedef struct {
    int64_t arena, begin, end;
} place;

static pmc_status place_of(place *at, const pmc_ref *ref, const pmc_extent *extent, const pmc_plan_sizes *sizes) {
    const int64_t arena_bytes[PMC_ARENAS] = {
        [PMC_PARAM] = sizes->model_bytes, [PMC_GRADIENT] = sizes->model_bytes, [PMC_PACK] = sizes->pack_bytes,
        [PMC_BATCH] = sizes->batch_bytes, [PMC_SHARD] = sizes->shard_bytes,    [PMC_THREAD] = sizes->thread_bytes,
    };
    const int64_t samples = ref->arena == PMC_BATCH ? sizes->capacity : sizes->microbatch;
    int64_t bytes;
    *at = (place){ref->arena, ref->offset, 0};
    if (__builtin_mul_overflow(extent->sample, samples, &bytes)) return PMC_BAD_SHAPE;
    bytes += extent->whole;
    if (ref->offset < 0 || ref->offset % PMC_ALIGN || __builtin_add_overflow(ref->offset, bytes, &at->end) ||
        at->end > arena_bytes[ref->arena])
        return PMC_BAD_BOUNDS;
    return PMC_OK;
}

/* What an op writes never lies across what else it sees: the same samples, or apart. */
static int clash(const place *a, const place *b, const pmc_extent *of_a, const pmc_extent *of_b) {
    const int same = a->begin == b->begin && a->end == b->end && of_a->sample && of_b->sample;
    return a->arena == b->arena && !same && a->begin < b->end && b->begin < a->end;
}

static pmc_status check_op(pmc_extent extents[PMC_REFS], const pmc_op *op, const pmc_plan_sizes *sizes) {
    place at[PMC_REFS];
    const pmc_status sound = pmc_op_extents(extents, op, sizes);
    if (sound != PMC_OK) return sound;
    const pmc_operation *operation = pmc_operations[op->kind];
    for (int i = 0; i < PMC_REFS; i++) {
        const unsigned flags = operation->ref[i].flags;
        const int needless = !operation->ref[i].name || flags & PMC_OPTIONAL || (flags & PMC_OF_PAIRS && !sizes->pairs);
        at[i] = (place){PMC_NOWHERE, 0, 0};
        if (op->ref[i].arena == PMC_NOWHERE && needless) continue;
        if (!operation->ref[i].name) return PMC_BAD_BOUNDS;
        if (!arena_fits(operation, i, op->ref[i].arena)) return PMC_BAD_BOUNDS;
        const pmc_status status = place_of(&at[i], &op->ref[i], &extents[i], sizes);
        if (status != PMC_OK) return status;
        for (int j = 0; j < i; j++)
            if ((flags | operation->ref[j].flags) & PMC_WRITTEN && clash(&at[i], &at[j], &extents[i], &extents[j]))
                return PMC_BAD_BOUNDS;
    }
    return PMC_OK;
}

/* PREPARE has no samples: weights are all it sees. */
static int sees_weights_only(const pmc_op *op) {
    for (int i = 0; i < PMC_REFS; i++)
        if (op->ref[i].arena != PMC_NOWHERE && op->ref[i].arena != PMC_PARAM && op->ref[i].arena != PMC_PACK) return 0;
    return 1;
}

static pmc_status check_plan(pmc_plan *plan, int64_t *bad_op) {
    const pmc_plan_sizes *s = &plan->sizes;
    for (int64_t i = 0; i < s->ops; i++) {
        const pmc_status status = check_op(plan->extents[i], &plan->ops[i], s);
        if (status != PMC_OK) return *bad_op = i, status;
    }
    for (int64_t i = 0; i < s->phases; i++) {
        const pmc_phase *phase = &plan->phases[i];
        if (!between(phase->first_op, 0, s->ops) || !between(phase->ops, 0, s->ops - phase->first_op))
            return PMC_BAD_BOUNDS;
        for (int64_t op = phase->first_op; op < phase->first_op + phase->ops; op++)
            if (pmc_operations[plan->ops[op].kind]->scope != phase->scope) return *bad_op = op, PMC_BAD_SHAPE;
    }
    for (int i = 0; i < PMC_PROGRAMS; i++)
        if (!between(plan->programs[i].first_phase, 0, s->phases) ||
            !between(plan->programs[i].phases, 0, s->phases - plan->programs[i].first_phase))
            return PMC_BAD_BOUNDS;
    const pmc_program *prepare = &plan->programs[PMC_PREPARE];
    for (int64_t i = prepare->first_phase; i < prepare->first_phase + prepare->phases; i++)
        for (int64_t op = plan->phases[i].first_op; op < plan->phases[i].first_op + plan->phases[i].ops; op++)
            if (!sees_weights_only(&plan->ops[op])) return *bad_op = op, PMC_BAD_SHAPE;
    return PMC_OK;
}

static int sizes_fit(const pmc_plan_sizes *s) {
    const int64_t bytes[] = {s->model_bytes, s->pack_bytes, s->batch_bytes, s->shard_bytes, s->thread_bytes};
    for (int i = 0; i < 5; i++)
        if (!between(bytes[i], 0, INT64_MAX / (4 * PMC_SHARDS)) || bytes[i] % PMC_ALIGN) return 0;
    return between(s->dtype, 0, PMC_DTYPES - 1) && s->model_bytes % (PMC_PAD * pmc_real_bytes(s)) == 0 &&
           between(s->capacity, 1, INT32_MAX) && between(s->microbatch, 1, s->capacity) &&
           between(s->ops, 0, 1 << 20) && between(s->phases, 0, 1 << 20);
}

/* ---- making ---- */

static void *copy_of(const void *from, int64_t count, size_t size) {
    void *copy = malloc((size_t)count * size + 1);
    if (copy) memcpy(copy, from, (size_t)count * size);
    return copy;
}

pmc_status pmc_plan_new(pmc_plan **out, const pmc_plan_sizes *sizes, const pmc_op *ops, const pmc_phase *phases,
                        const pmc_program programs[PMC_PROGRAMS], const pmc_target *target, int64_t *bad_op) {
    *out = NULL;
    *bad_op = -1;
    if (!sizes_fit(sizes) || (!target->on && !target->kernels[sizes->dtype])) return PMC_BAD_SHAPE;
    pmc_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return PMC_NO_MEMORY;
    plan->target = target;
    plan->sizes = *sizes;
    plan->sizes.pairs = target->pairs;
    memcpy(plan->programs, programs, sizeof plan->programs);
    plan->ops = copy_of(ops, sizes->ops, sizeof *ops);
    plan->phases = copy_of(phases, sizes->phases, sizeof *phases);
    plan->extents = calloc((size_t)sizes->ops + 1, sizeof *plan->extents);
    pmc_status status = plan->ops && plan->phases && plan->extents ? check_plan(plan, bad_op) : PMC_NO_MEMORY;
    if (status == PMC_OK) status = target->backend->new (plan);
    if (status != PMC_OK) return pmc_plan_free(plan), status;
    *out = plan;
    return PMC_OK;
}

pmc_status pmc_plan_copy(pmc_plan **copy, const pmc_plan *plan) {
    int64_t bad_op;
    return pmc_plan_new(copy, &plan->sizes, plan->ops, plan->phases, plan->programs, plan->target, &bad_op);
}

void pmc_plan_free(pmc_plan *plan) {
    if (!plan) return;
    if (plan->memory) plan->target->backend->free(plan);
    free(plan->ops), free(plan->phases), free(plan->extents);
    free(plan);
}

pmc_status pmc_plan_fill(pmc_plan *plan, int byte) { return plan->target->backend->fill(plan, byte); }

pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes) {
    return plan->target->backend->peek(plan, to, offset, bytes);
}

/* ---- runs ---- */

/* Has the caller given the vectors that the optimizer reads, for all steps? */
static int moments_given(const pmc_step *s, int64_t steps) {
    if (s->optimizer == PMC_GRADIENT_ONLY) return 1;
    if (!between(s->optimizer, 0, PMC_OPTIMIZERS - 1) || !s->coefficients) return 0;
    if (s->optimizer != PMC_SGD && !s->moment[0]) return 0;
    if (s->optimizer == PMC_ADAM && !s->moment[1]) return 0;
    for (int64_t i = 0; i < steps; i++) {
        const pmc_coefficients *c = &s->coefficients[i];
        if (c->momentum != 0 && !s->moment[s->optimizer == PMC_SGD ? 0 : 1]) return 0;
        if (c->centered != 0 && !s->moment[2]) return 0;
    }
    return 1;
}

static int refers_to(const pmc_op *op, pmc_arena arena) {
    for (int i = 0; i < PMC_REFS; i++)
        if (op->ref[i].arena == (int64_t)arena) return 1;
    return 0;
}

/* Has the caller given the arrays that the program's transfers, losses and updates want? */
static int arrays_given(const pmc_plan *plan, pmc_program_kind program, const pmc_run_args *a) {
    const pmc_program *p = &plan->programs[program];
    const pmc_step *s = &a->step;
    const void *ports[PMC_PORTS] = {[PMC_PORT_X] = s->x_u8 ? s->x_u8 : s->x_real,
                                    [PMC_PORT_Y] = s->y,
                                    [PMC_PORT_DY] = s->dy,
                                    [PMC_PORT_DX] = s->dx};
    const int compared = (s->labels || s->targets) && s->loss && s->weight && s->correct;
    if (!s->param || !moments_given(s, pmc_blocks(a->count, a->batch))) return 0;
    if (pmc_has_loss(program) && !compared) return 0;
    for (const pmc_phase *phase = plan->phases + p->first_phase; phase < plan->phases + p->first_phase + p->phases;
         phase++)
        for (const pmc_op *op = plan->ops + phase->first_op; op < plan->ops + phase->first_op + phase->ops; op++) {
            if ((op->kind == PMC_INPUT || op->kind == PMC_OUTPUT) && !ports[op->shape.transfer.port]) return 0;
            if (pmc_operations[op->kind]->is_loss && !compared) return 0;
            if (refers_to(op, PMC_GRADIENT) && !s->gradient) return 0;
        }
    return 1;
}

/* Labels choose weights of classes, and outputs. */
static int labels_fit(const pmc_plan *plan, const pmc_run_args *a) {
    const pmc_step *s = &a->step;
    const int64_t most = plan->sizes.y_elements - 1;
    for (int64_t i = 0; s->labels && !s->targets && i < a->count; i++)
        if (!between(s->labels[pmc_step_at(s, i)], 0, most) ||
            (s->partner && !between(s->labels[s->partner[i]], 0, most)))
            return 0;
    return 1;
}

static int mixing_fits(const pmc_plan *plan, const pmc_run_args *a) {
    const pmc_step *s = &a->step;
    const int64_t elements = plan->sizes.x_elements;
    if (!s->partner) return !s->share && !s->box;
    for (int64_t i = 0; i < a->count; i++)
        if (!between(s->partner[i], 0, a->items - 1)) return 0;
    return s->share && between(s->height, 1, elements) && between(s->width, 1, elements / s->height) &&
           elements % (s->height * s->width) == 0;
}

double pmc_step_weight(const pmc_step *s, int64_t start, int64_t n) {
    const double *of_class = s->labels && !s->targets && !s->partner ? s->class_weight : NULL;
    double sum = 0;
    if (!s->sample_weight && !of_class) return (double)n;
    for (int64_t i = start; i < start + n; i++)
        sum += pmc_step_counts(s, i).weight * (of_class ? of_class[s->labels[pmc_step_at(s, i)]] : 1);
    return sum;
}

int pmc_stopping(pmc_run_args *args, int callers_thread) {
    enum { INTERVAL = 100000000 };
    if (callers_thread && args->interrupted) {
        const int64_t now = pmc_nanoseconds();
        if (!args->next_look) args->next_look = now + INTERVAL;
        if (now >= args->next_look && !args->stopping) {
            args->next_look = now + INTERVAL;
            const uint64_t computing = pmc_floating_mode();
            pmc_set_floating_mode(args->floating_mode);
            if (args->interrupted(args->context)) __atomic_store_n(&args->stopping, 1, __ATOMIC_RELAXED);
            pmc_set_floating_mode(computing);
        }
    }
    return __atomic_load_n(&args->stopping, __ATOMIC_RELAXED);
}

pmc_status pmc_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args) {
    pmc_step *step = &args->step;
    args->done = args->next_look = args->stopping = 0;
    args->floating_mode = pmc_floating_mode();
    step->start = step->number = 0;
    step->bad_layer = step->bad_step = INT64_MAX;
    if (!between(args->batch, 1, plan->sizes.capacity) || args->count < 1 || args->threads < 1) return PMC_BAD_SHAPE;
    if (!between(program, 0, PMC_PROGRAMS - 1) || !arrays_given(plan, program, args)) return PMC_MISSING;
    if (!mixing_fits(plan, args) || !labels_fit(plan, args)) return PMC_BAD_SHAPE;
    for (int64_t i = 0, start = 0; pmc_has_loss(program) && start < args->count; i++, start += args->batch) {
        const int64_t left = args->count - start;
        step->weight[i] = pmc_step_weight(step, start, left < args->batch ? left : args->batch);
    }
    const pmc_status status = plan->target->backend->run(plan, program, args);
    if (status != PMC_OK) return status;
    args->done = step->bad_step < step->number ? step->bad_step : step->number;
    return step->bad_layer != INT64_MAX && program != PMC_FORWARD ? PMC_NOT_FINITE : PMC_OK;
}
