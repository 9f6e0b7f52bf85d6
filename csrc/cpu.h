/* A step of a run on the processor: what cpu.c, which runs it, and ranks.c share. */
#pragma once

#include "plan.h"
#include "threads.h"

enum { PMC_WAITING = 16 }; /* so many arrays may wait to be shared by one message */

/* One step of a run. */
typedef struct {
    const pmc_plan *plan;
    const pmc_kernels *kernels;
    pmc_run_args *args;
    const pmc_phase *phase;
    int64_t n, shards;        /* of the step */
    int64_t first_own, owned; /* of its shards, those that this process computes */
    pmc_program_kind program;
    pmc_team *team;
    char *arena[PMC_ARENAS];

    /* Where several processes do it together: */
    pmc_scattered scattered[PMC_WAITING]; /* arrays that wait to be shared */
    int64_t waiting;
    int added_up;      /* is the first shard's gradient the sum of all of them? */
    int losses_shared; /* do all have those of the step's samples? */
} pmc_step_context;

/* Of a step's shards, the first that a process computes. */
PMC_INLINE int64_t pmc_own_first_shard(const pmc_step_context *c, int64_t rank) {
    return pmc_first_shard(rank, c->args->ranks ? c->args->ranks : 1, c->shards);
}

/* Parts of an op of TILES scope, of n samples. */
PMC_INLINE int64_t pmc_parts_of(const pmc_op *op, int64_t n, int64_t threads) {
    const pmc_operation *operation = pmc_operations[op->kind];
    return operation->parts ? operation->parts(op, n, threads) : 1;
}

/* Under the address sanitizer, with `on` only what some reference names may be touched; else, to fill, send or free them,
 * all of the arenas. */
void pmc_guard(const pmc_plan *plan, int on);

/* ranks.c: several processes. Which samples, shards and blocks of the sum are whose, in a step: */
void pmc_divide(const pmc_step_context *c);
/* before a phase in TILES scope, what it reads of samples and of shards: */
void pmc_share_what_is_read(pmc_step_context *c, const pmc_program *p);
/* the samples' losses, with what else waits: */
void pmc_let_losses_wait(pmc_step_context *c);
void pmc_share(pmc_step_context *c);
