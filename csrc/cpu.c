/* The backend of the processor: for each step of a run, for each phase, its tasks on threads. The order of every
 * addition is a function of shapes and batch size: shards, not threads, own sums. */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- memory ---- */

/* A plan's arenas and, of the samples of a step, loss and whether the answer was correct. */
typedef struct {
    char *arena[PMC_ARENAS];
    int64_t copies[PMC_ARENAS];
    double *loss; /* [capacity], as is: */
    uint8_t *correct;
} cpu_memory;

enum { SLACK = 4 * PMC_ALIGN };
static const pmc_arena own_arenas[] = {PMC_PACK, PMC_BATCH, PMC_SHARD, PMC_THREAD};
enum { OWN_ARENAS = sizeof own_arenas / sizeof *own_arenas };

/* Bytes of a copy. */
static int64_t arena_bytes(const pmc_plan *plan, pmc_arena arena) {
    const pmc_plan_sizes *s = &plan->sizes;
    return arena == PMC_PACK    ? s->pack_bytes
           : arena == PMC_BATCH ? s->batch_bytes
           : arena == PMC_SHARD ? s->shard_bytes
                                : s->thread_bytes;
}

#if PMC_GUARD
#include <sanitizer/asan_interface.h>

void pmc_guard(const pmc_plan *plan, int on) {
    const pmc_plan_sizes *s = &plan->sizes;
    const cpu_memory *memory = plan->memory;
    for (int a = 0; a < OWN_ARENAS; a++) {
        const pmc_arena arena = own_arenas[a];
        const int64_t copies = memory->copies[arena], bytes = arena_bytes(plan, arena);
        if (!memory->arena[arena]) continue;
        if (on) ASAN_POISON_MEMORY_REGION(memory->arena[arena], (size_t)(copies * bytes));
        else ASAN_UNPOISON_MEMORY_REGION(memory->arena[arena], (size_t)(copies * bytes));
        for (int64_t i = 0; on && i < s->ops * PMC_REFS; i++) {
            const pmc_ref *ref = &plan->ops[i / PMC_REFS].ref[i % PMC_REFS];
            const pmc_extent *e = &plan->extents[i / PMC_REFS][i % PMC_REFS];
            const int64_t size = e->whole + e->sample * (arena == PMC_BATCH ? s->capacity : s->microbatch);
            for (int64_t copy = 0; ref->arena == (int64_t)arena && copy < copies; copy++)
                ASAN_UNPOISON_MEMORY_REGION(memory->arena[arena] + copy * bytes + ref->offset, (size_t)size);
        }
    }
}
#else
void pmc_guard(const pmc_plan *plan, int on) { (void)plan, (void)on; }
#endif

/* Makes room for so many copies of an arena; there is something to point at even where it is empty. */
static pmc_status make_room(pmc_plan *plan, pmc_arena arena, int64_t copies) {
    cpu_memory *memory = plan->memory;
    int64_t bytes;
    if (memory->arena[arena] && memory->copies[arena] >= copies) return PMC_OK;
    if (__builtin_mul_overflow(arena_bytes(plan, arena), copies, &bytes)) return PMC_NO_MEMORY;
    char *room = aligned_alloc(PMC_ALIGN, (size_t)(pmc_blocks(bytes + SLACK, PMC_ALIGN) * PMC_ALIGN));
    if (!room) return PMC_NO_MEMORY;
    memset(room, 0, (size_t)(bytes + SLACK));
    pmc_guard(plan, 0);
    free(memory->arena[arena]);
    memory->arena[arena] = room;
    memory->copies[arena] = copies;
    return PMC_OK;
}

static pmc_status cpu_new(pmc_plan *plan) {
    cpu_memory *memory = plan->memory = calloc(1, sizeof *memory);
    if (!memory) return PMC_NO_MEMORY;
    pmc_status status = make_room(plan, PMC_PACK, 1);
    if (status == PMC_OK) status = make_room(plan, PMC_BATCH, 1);
    if (status == PMC_OK) status = make_room(plan, PMC_SHARD, pmc_shards(plan->sizes.capacity));
    memory->loss = malloc((size_t)plan->sizes.capacity * sizeof *memory->loss);
    memory->correct = malloc((size_t)plan->sizes.capacity);
    if (status != PMC_OK || !memory->loss || !memory->correct) return PMC_NO_MEMORY;
    pmc_guard(plan, 1);
    return PMC_OK;
}

static void cpu_free(pmc_plan *plan) {
    cpu_memory *memory = plan->memory;
    pmc_guard(plan, 0);
    for (int i = 0; i < PMC_ARENAS; i++) free(memory->arena[i]);
    free(memory->loss), free(memory->correct), free(memory);
}

static pmc_status cpu_fill(pmc_plan *plan, int byte) {
    const cpu_memory *memory = plan->memory;
    pmc_guard(plan, 0);
    for (int i = 0; i < OWN_ARENAS; i++) {
        const pmc_arena arena = own_arenas[i];
        if (memory->arena[arena])
            memset(memory->arena[arena], byte, (size_t)(arena_bytes(plan, arena) * memory->copies[arena] + SLACK));
    }
    pmc_guard(plan, 1);
    return PMC_OK;
}

static pmc_status cpu_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes) {
    const cpu_memory *memory = plan->memory;
    pmc_guard(plan, 0);
    memcpy(to, memory->arena[PMC_BATCH] + offset, (size_t)bytes);
    pmc_guard(plan, 1);
    return PMC_OK;
}

/* ---- tasks ---- */

/* Where a task works: which samples of the step, whose copies. */
typedef struct {
    int64_t first, n, shard, thread;
    int opening; /* a shard's first samples */
} place;

/* Does a part of an op at a place. The thread that does it may be another than the one that the tensors belong to; it
 * has a workspace of its own. */
static void run_op(const pmc_step_context *c, const pmc_op *op, const place *at, int64_t part, int64_t parts,
                   int64_t thread) {
    const pmc_plan_sizes *s = &c->plan->sizes;
    const pmc_reference *reference = pmc_operations[op->kind]->ref;
    const pmc_extent *extent = c->plan->extents[op - c->plan->ops];
    pmc_task task = {.op = op,
                     .step = &c->args->step,
                     .first = at->first,
                     .n = at->n,
                     .part = part,
                     .parts = parts,
                     .opening = at->opening,
                     .shards = c->added_up ? 1 : c->shards,
                     .shard_elements = s->shard_bytes / pmc_real_bytes(s),
                     .model_elements = s->model_bytes / pmc_real_bytes(s)};
    for (int i = 0; i < PMC_REFS; i++) {
        const int64_t arena = op->ref[i].arena, owner = reference[i].flags & PMC_SCRATCH ? thread : at->thread;
        const int64_t copy = arena == PMC_BATCH    ? at->first * extent[i].sample
                             : arena == PMC_SHARD  ? at->shard * s->shard_bytes
                             : arena == PMC_THREAD ? owner * s->thread_bytes
                                                   : 0;
        task.ref[i] = arena == PMC_NOWHERE ? NULL : c->arena[arena] + op->ref[i].offset + copy;
    }
    if (c->kernels->op[op->kind](&task)) return;
    int64_t *layer = &c->args->step.bad_layer, bad = __atomic_load_n(layer, __ATOMIC_RELAXED); /* the first is named */
    while (op->layer < bad &&
           !__atomic_compare_exchange_n(layer, &bad, op->layer, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* Where a profile is asked for: seconds, and the seconds since `started` added to the op's of this thread. */
static double clock_of(const pmc_step_context *c) {
    struct timespec now;
    if (!c->args->op_seconds) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static void clocked(const pmc_step_context *c, const pmc_op *op, int64_t thread, double started) {
    if (c->args->op_seconds)
        c->args->op_seconds[thread * c->plan->sizes.ops + (op - c->plan->ops)] += clock_of(c) - started;
}

typedef struct {
    const pmc_step_context *c;
    const pmc_op *op;
    const place *at;
    int64_t parts;
} shared_op;

static void part_task(void *context, int64_t part, int64_t thread) {
    const shared_op *s = context;
    run_op(s->c, s->op, s->at, part, s->parts, thread);
}

/* The shard of a task: so that each thread has as many of the larger ones, which come first, and its own follow each
 * other in memory, they are ordered by thread, in each the larger ones and then the others. */
static int64_t shard_of(const pmc_step_context *c, int64_t task) {
    const int64_t threads = c->args->threads, behind = c->n % c->shards - c->first_own;
    const int64_t larger = smaller(behind > 0 ? behind : 0, c->owned), others = c->owned - larger;
    for (int64_t thread = 0;; thread++) {
        const int64_t first = pmc_blocks(larger * thread, threads);
        const int64_t many = pmc_blocks(larger * (thread + 1), threads) - first;
        if (task < many) return c->first_own + first + task;
        task -= many;
        const int64_t first_other = others * thread / threads;
        const int64_t many_others = others * (thread + 1) / threads - first_other;
        if (task < many_others) return c->first_own + larger + first_other + task;
        task -= many_others;
    }
}

/* A shard, a microbatch at a time, each through all ops of the phase while it is in L2. If it is the only shard, the
 * other threads help where they can. */
static void shard_task(void *context, int64_t task, int64_t thread) {
    const pmc_step_context *c = context;
    const int64_t shard = shard_of(c, task);
    const int64_t begin = pmc_shard_begin(shard, c->shards, c->n), end = pmc_shard_begin(shard + 1, c->shards, c->n);
    for (int64_t first = begin; first < end && !pmc_stopping(c->args, thread == 0);
         first += c->plan->sizes.microbatch) {
        const place at = {.first = first,
                          .n = smaller(c->plan->sizes.microbatch, end - first),
                          .shard = shard,
                          .thread = thread,
                          .opening = first == begin};
        for (const pmc_op *op = c->plan->ops + c->phase->first_op, *behind = op + c->phase->ops; op < behind; op++) {
            const double started = clock_of(c);
            shared_op shared = {c, op, &at, c->shards == 1 && c->team ? pmc_parts_of(op, at.n, c->args->threads) : 1};
            if (shared.parts > 1) pmc_parallel_for(c->team, shared.parts, part_task, &shared);
            else run_op(c, op, &at, 0, 1, thread);
            clocked(c, op, thread, started);
        }
    }
}

/* Where an op of TILES scope works: on all samples, or on those of this process. */
static place tiled_place(const pmc_step_context *c, const pmc_op *op) {
    if (!pmc_operations[op->kind]->by_sample) return (place){.n = c->n};
    const int64_t first = pmc_shard_begin(c->first_own, c->shards, c->n);
    return (place){.first = first, .n = pmc_shard_begin(c->first_own + c->owned, c->shards, c->n) - first};
}
static int64_t tiles_of(const pmc_step_context *c, const pmc_op *op) {
    return pmc_parts_of(op, tiled_place(c, op).n, c->args->threads);
}

/* The tasks of a phase in TILES scope are the parts of its ops, one after the other. */
static void tile_task(void *context, int64_t task, int64_t thread) {
    const pmc_step_context *c = context;
    const pmc_op *op = c->plan->ops + c->phase->first_op;
    int64_t parts;
    if (pmc_stopping(c->args, thread == 0)) return;
    for (; task >= (parts = tiles_of(c, op)); op++) task -= parts;
    place at = tiled_place(c, op);
    at.thread = thread;
    const double started = clock_of(c);
    run_op(c, op, &at, task, parts, thread);
    clocked(c, op, thread, started);
}

/* ---- steps ---- */

/* So many vector operations are worth handing out, a few microseconds of them, and so many are worth waking threads for
 * a single step; less is done by the calling thread, such as a network of a few weights at batch 1. */
enum { WORTH_SHARING = 8000, WORTH_WAKING = 80000 };

/* Is there enough to do in a phase, for a batch of n, to be shared? */
static int worth_sharing(const pmc_step_context *c, const pmc_phase *phase, int64_t n, int64_t enough) {
    const pmc_op *ops = c->plan->ops + phase->first_op;
    int64_t work = 0;
    if (phase->scope == PMC_SCOPE_SHARD && pmc_shards(n) > 1) return 1;
    for (int64_t i = 0; i < phase->ops; i++)
        if (phase->scope == PMC_SCOPE_TILES || pmc_parts_of(&ops[i], n, 2) > 1)
            work += pmc_operations[ops[i].kind]->work(&ops[i], n, pmc_shards(n));
    return work >= enough;
}

static void run_program(pmc_step_context *c, pmc_program_kind program) {
    const pmc_program *p = &c->plan->programs[program];
    for (int64_t i = p->first_phase; i < p->first_phase + p->phases; i++) {
        c->phase = &c->plan->phases[i];
        pmc_team *team = c->team && worth_sharing(c, c->phase, c->n, WORTH_SHARING) ? c->team : NULL;
        if (c->phase->scope == PMC_SCOPE_TILES) {
            int64_t tasks = 0;
            if (c->args->ranks > 1) pmc_share_what_is_read(c, p);
            for (int64_t op = 0; op < c->phase->ops; op++) tasks += tiles_of(c, &c->plan->ops[c->phase->first_op + op]);
            pmc_parallel_for(team, tasks, tile_task, c);
        } else if (c->owned) pmc_parallel_for(team, c->owned, shard_task, c);
    }
}

/* How many threads a run can use: one, where no phase is worth sharing, or worth waking them for a single step. */
static int64_t threads_of(const pmc_step_context *c) {
    const pmc_program *p = &c->plan->programs[c->program];
    const int64_t enough = c->args->count > c->args->batch ? WORTH_SHARING : WORTH_WAKING;
    for (int64_t i = p->first_phase; i < p->first_phase + p->phases; i++)
        if (worth_sharing(c, &c->plan->phases[i], c->args->batch, enough)) return smaller(c->args->threads, PMC_SHARDS);
    return 1;
}

/* All steps of a run, until a parameter is no longer finite, or the caller has enough. */
static void run_steps(void *context, pmc_team *team) {
    pmc_step_context *c = context;
    pmc_step *step = &c->args->step;
    c->team = team;
    if (!c->args->prepared) run_program(c, PMC_PREPARE);
    for (; step->start < c->args->count; step->start += c->args->batch, step->number++) {
        c->n = smaller(c->args->batch, c->args->count - step->start);
        c->shards = pmc_shards(c->n);
        c->first_own = pmc_own_first_shard(c, c->args->rank);
        c->owned = pmc_own_first_shard(c, c->args->rank + 1) - c->first_own;
        c->added_up = 0, c->losses_shared = c->args->ranks < 2;
        if (c->args->ranks > 1) pmc_divide(c);
        run_program(c, c->program);
        pmc_let_losses_wait(c);
        pmc_share(c);
        if (pmc_stopping(c->args, 0)) return;
        if (pmc_has_loss(c->program)) {
            double loss = 0;
            int64_t correct = 0;
            for (int64_t i = 0; i < c->n; i++) loss += step->sample_loss[i], correct += step->sample_correct[i];
            step->loss[step->number] = loss, step->correct[step->number] = correct;
        }
        if (step->bad_layer == INT64_MAX) continue;
        step->bad_step = step->number;
        return;
    }
}

static pmc_status cpu_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args) {
    cpu_memory *memory = plan->memory;
    pmc_step *step = &args->step;
    args->threads = smaller(args->threads, PMC_SHARDS); /* more have nothing to do */
    if (make_room(plan, PMC_THREAD, args->threads) != PMC_OK) return PMC_NO_MEMORY;
    pmc_guard(plan, 1);
    pmc_step_context c = {.plan = plan,
                          .kernels = plan->target->kernels[plan->sizes.dtype],
                          .args = args,
                          .program = program,
                          .shards = 1,
                          .owned = 1};
    memcpy(c.arena, memory->arena, sizeof c.arena);
    c.arena[PMC_PARAM] = (char *)step->param, c.arena[PMC_GRADIENT] = (char *)step->gradient;
    step->sample_loss = memory->loss, step->sample_correct = memory->correct;
    pmc_with_threads(threads_of(&c), run_steps, &c);
    return pmc_stopping(args, 0) ? PMC_INTERRUPTED : PMC_OK;
}

const pmc_backend pmc_cpu_backend = {cpu_new, cpu_free, cpu_fill, cpu_peek, cpu_run};
