/* Several processes do a run together: each computes some shards of each step, and lets the others have what they need
 * of them. A sum of shards is theirs in the shards' order, whoever computed them. */
#include "cpu.h"

/* How an array is divided among the processes: by the samples or the shards that each computes; or equally, by blocks of
 * PMC_ALIGN bytes. */
enum { BY_SAMPLE, BY_SHARD, BY_BLOCK };

static int64_t *bounds_of(const pmc_step_context *c, int division) {
    return c->args->bounds + division * (c->args->ranks + 1);
}

void pmc_divide(const pmc_step_context *c) {
    const int64_t ranks = c->args->ranks, blocks = c->plan->sizes.shard_bytes / PMC_ALIGN;
    for (int64_t rank = 0; rank <= ranks; rank++) {
        const int64_t shard = pmc_own_first_shard(c, rank);
        bounds_of(c, BY_SAMPLE)[rank] = pmc_shard_begin(shard, c->shards, c->n);
        bounds_of(c, BY_SHARD)[rank] = shard;
        bounds_of(c, BY_BLOCK)[rank] = blocks * rank / ranks;
    }
}

/* Calls the caller, in its own floating mode: it lets processes have what others computed. */
static void meet(const pmc_step_context *c, int (*others)(const pmc_step_context *c)) {
    pmc_run_args *args = c->args;
    if (pmc_stopping(args, 0)) return;
    const uint64_t computing = pmc_floating_mode();
    pmc_guard(c->plan, 0);
    pmc_set_floating_mode(args->floating_mode);
    if (others(c)) __atomic_store_n(&args->stopping, 1, __ATOMIC_RELAXED);
    pmc_set_floating_mode(computing);
    pmc_guard(c->plan, 1);
}

static int all_have_arrays(const pmc_step_context *c) {
    return c->args->share(c->args->context, c->scattered, c->waiting);
}

static int all_have_columns(const pmc_step_context *c) {
    const pmc_scattered shards = {c->arena[PMC_SHARD], c->plan->sizes.shard_bytes, bounds_of(c, BY_SHARD)};
    return c->args->exchange(c->args->context, &shards, bounds_of(c, BY_BLOCK), PMC_ALIGN);
}

/* Lets every process have all of what waits. */
void pmc_share(pmc_step_context *c) {
    if (c->waiting) meet(c, all_have_arrays);
    c->waiting = 0;
}

static void let_wait(pmc_step_context *c, void *array, int64_t unit, int division) {
    if (c->waiting == PMC_WAITING) pmc_share(c);
    c->scattered[c->waiting++] = (pmc_scattered){array, unit, bounds_of(c, division)};
}

void pmc_let_losses_wait(pmc_step_context *c) {
    const pmc_step *step = &c->args->step;
    if (c->losses_shared || !pmc_has_loss(c->program)) return;
    let_wait(c, step->sample_loss, sizeof *step->sample_loss, BY_SAMPLE);
    let_wait(c, step->sample_correct, sizeof *step->sample_correct, BY_SAMPLE);
    c->losses_shared = 1;
}

/* A part of this process's blocks of the shards' sum, in the place of the first shard. */
static pmc_op own_sum(const pmc_step_context *c) {
    const int64_t *block = bounds_of(c, BY_BLOCK) + c->args->rank;
    const int64_t elements = (block[1] - block[0]) * PMC_ALIGN / pmc_real_bytes(&c->plan->sizes);
    return (pmc_op){.kind = PMC_UPDATE, .shape.parameter.elements = elements};
}
static void sum_task(void *context, int64_t part, int64_t thread) {
    const pmc_step_context *c = context;
    const pmc_op op = own_sum(c);
    char *blocks = c->arena[PMC_SHARD] + bounds_of(c, BY_BLOCK)[c->args->rank] * PMC_ALIGN;
    const pmc_task task = {.op = &op,
                           .step = &c->args->step,
                           .part = part,
                           .shards = c->shards,
                           .shard_elements = c->plan->sizes.shard_bytes / pmc_real_bytes(&c->plan->sizes),
                           .ref = {NULL, blocks, blocks, NULL}}; /* an update without weights only adds up */
    (void)thread;
    c->kernels->op[PMC_UPDATE](&task);
}

/* Each process adds up a part of the shards' gradients, and all have the sum: less to send than all shards are, unless
 * there are two. */
static void share_shards(pmc_step_context *c) {
    if (c->shards <= 2) let_wait(c, c->arena[PMC_SHARD], c->plan->sizes.shard_bytes, BY_SHARD);
    else {
        const pmc_op op = own_sum(c);
        meet(c, all_have_columns);
        pmc_guard(c->plan, 0); /* between buffers, too */
        if (op.shape.parameter.elements)
            pmc_parallel_for(c->team, pmc_parts_of(&op, c->n, c->args->threads), sum_task, c);
        pmc_guard(c->plan, 1);
        let_wait(c, c->arena[PMC_SHARD], PMC_ALIGN, BY_BLOCK);
        c->added_up = 1;
    }
    pmc_let_losses_wait(c);
}

static int same_place(const pmc_ref *a, const pmc_ref *b) {
    return a->arena == b->arena && (a->arena == PMC_SHARD || a->offset == b->offset);
}

/* Did the processes each write a part of what an op of TILES scope reads, and has nothing shared it since? */
static int is_scattered(const pmc_step_context *c, const pmc_program *p, const pmc_op *reader, const pmc_ref *ref) {
    for (const pmc_phase *phase = c->phase; phase >= c->plan->phases + p->first_phase; phase--) {
        const pmc_op *first = c->plan->ops + phase->first_op, *op = phase == c->phase ? reader : first + phase->ops;
        while (op-- > first)
            for (int i = 0; i < PMC_REFS; i++) {
                const int written = pmc_operations[op->kind]->ref[i].flags & PMC_WRITTEN;
                if (!same_place(&op->ref[i], ref)) continue;
                const int whole = phase->scope == PMC_SCOPE_TILES && !pmc_operations[op->kind]->by_sample;
                if (whole) return 0; /* it wrote, or had shared, all of it */
                if (written) return 1;
            }
    }
    return 0;
}

/* Before a phase in TILES scope: what it reads of other processes' samples and of shards. */
void pmc_share_what_is_read(pmc_step_context *c, const pmc_program *p) {
    for (const pmc_op *op = c->plan->ops + c->phase->first_op, *behind = op + c->phase->ops; op < behind; op++)
        for (int i = 0; i < PMC_REFS && !pmc_operations[op->kind]->by_sample; i++) {
            const pmc_ref *ref = &op->ref[i];
            const int64_t of_sample = c->plan->extents[op - c->plan->ops][i].sample;
            if ((ref->arena != PMC_BATCH && ref->arena != PMC_SHARD) || !is_scattered(c, p, op, ref)) continue;
            if (ref->arena == PMC_BATCH) let_wait(c, c->arena[PMC_BATCH] + ref->offset, of_sample, BY_SAMPLE);
            else share_shards(c);
        }
    pmc_share(c);
}
