/* The C library alone, in a program without Python: predicts by each plan of a file that standalone.py wrote.
 *
 *   standalone FILE     # prints each instruction set; exit code 1 if one has other bits than Python's run had
 *
 * tests/musl.sh builds it, static, with another C library. */
#include "csrc/pmc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *read_next(FILE *file, int64_t bytes) {
    char *memory = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    if (!memory || fread(memory, 1, (size_t)bytes, file) != (size_t)bytes) exit(2);
    return memory;
}

static const pmc_target *target_of(const char *isa) {
    for (int64_t i = 0; i < pmc_target_count(); i++) {
        const pmc_target *target = pmc_target_at(i);
        if (!strcmp(pmc_target_device(target), "cpu") && !strcmp(pmc_target_isa(target), isa) &&
            !strcmp(pmc_target_precision(target), "full") && !pmc_target_problem(target))
            return target;
    }
    return NULL;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) return 2;
    int other = 0;
    char isa[16];
    while (fread(isa, 1, sizeof isa, file) == sizeof isa) {
        const int64_t *n = read_next(file, 2 * sizeof *n); /* pictures, threads */
        const pmc_plan_sizes *sizes = read_next(file, sizeof *sizes);
        const pmc_op *ops = read_next(file, sizes->ops * (int64_t)sizeof *ops);
        const pmc_phase *phases = read_next(file, sizes->phases * (int64_t)sizeof *phases);
        const pmc_program *programs = read_next(file, PMC_PROGRAMS * sizeof *programs);
        pmc_run_args args = {.threads = n[1], .count = n[0], .items = n[0], .batch = n[0]};
        args.step.param = read_next(file, sizes->model_bytes);
        args.step.x_u8 = read_next(file, n[0] * sizes->x_elements);
        const int64_t bytes = n[0] * sizes->y_elements * (int64_t)sizeof(float);
        const float *expected = read_next(file, bytes);
        args.step.y = calloc(1, (size_t)bytes);
        const pmc_target *target = target_of(isa);
        pmc_plan *plan;
        int64_t bad_op;
        if (!target || pmc_plan_new(&plan, sizes, ops, phases, programs, target, &bad_op) != PMC_OK) return 2;
        if (pmc_run(plan, PMC_PREDICT, &args) != PMC_OK) return 2;
        const int same = !memcmp(args.step.y, expected, (size_t)bytes);
        printf("%-8s %lld pictures, %s\n", isa, (long long)n[0], same ? "the same bits" : "OTHER BITS");
        other |= !same;
        pmc_plan_free(plan);
    }
    return other;
}
