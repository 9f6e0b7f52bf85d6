/* The weights of a large linear layer, as products read them: w [in][pmc_linear_pitch] itself, or, in bfloat16, its words,
 * which updates leave behind: panels [words of in, padded][PMC_PACKED_COLUMNS], of which the last may be narrower. Where
 * factors are rounded by themselves, what they leave behind is rounded, and products read that for w. */
#pragma once
#include "factors.h"
#include "rounding.h"
#include "transpose.h"

/* A task: the words of PMC_TILE_BAND rows, an even number, and behind the last of all zeros up to whole tiles of AMX; or
 * these rows, rounded. */
static void linear_pack(real *words, const real *w, const pmc_linear *s, int64_t task) {
    const int64_t pitch = pmc_linear_pitch(s);
#if PMC_BF16
    const int64_t out = pmc_padded(s->out), depth = pmc_linear_depth(s), in_all = words_of(s->in);
    const int64_t first = task * PMC_TILE_BAND, behind = MIN(s->in, first + PMC_TILE_BAND);
    for (int64_t c = 0; c < out; c += PMC_PACKED_COLUMNS) {
        const int64_t columns = MIN(PMC_PACKED_COLUMNS, out - c);
        real *panel = words + depth * c;
        factors_of_columns(panel + first / 2 * columns, w + first * pitch + c, behind - first, columns, pitch);
        if (behind == s->in) memset(panel + in_all * columns, 0, (size_t)((depth - in_all) * columns) * sizeof *panel);
    }
#else
    const int64_t first = task * PMC_TILE_BAND * pitch;
    round_rows(words + first, w + first, NULL, MIN(PMC_TILE_BAND, s->in - task * PMC_TILE_BAND), pitch);
#endif
}

/* All rows of the weights from a column on: up to the end of its panel, if there are panels. */
INLINE factors linear_weights(const real *w, const real *words, const pmc_linear *s, int64_t column) {
#if PMC_BF16
    const int64_t out = pmc_padded(s->out);
    const int64_t in_panel = column % PMC_PACKED_COLUMNS, panel = column - in_panel;
    return (void)w, (factors){words + pmc_linear_depth(s) * panel + in_panel, MIN(PMC_PACKED_COLUMNS, out - panel)};
#else
    return (void)words, (factors){w + column, pmc_linear_pitch(s)};
#endif
}

/* How many columns from one on, of the next so many, are read together. */
INLINE int64_t linear_width(int64_t column, int64_t columns) {
    return PAIR == 1 ? columns : MIN(PMC_PACKED_COLUMNS - column % PMC_PACKED_COLUMNS, columns);
}

/* transposed [words of out][PMC_TILE_COLUMNS] <- the weights of so many inputs from one on. Words are of two inputs in one
 * direction, and of two outputs in the other: two rows of transposed words are interleaved, factor by factor. */
static void linear_transposed(real *transposed, const real *w, const real *words, const pmc_linear *s, int64_t input) {
#if PMC_BF16
    const int64_t out = pmc_padded(s->out);
    (void)w;
    for (int64_t c = 0; c < out; c += PMC_PACKED_COLUMNS) {
        const factors panel = linear_weights(w, words, s, c);
        real rows[PMC_PACKED_COLUMNS * PMC_TILE_COLUMNS / 2];
        enum { ROW = PMC_TILE_COLUMNS / 2 };
        transpose(rows, panel.at + input / 2 * panel.pitch, ROW, panel.pitch, ROW, ROW, panel.pitch);
        for (int64_t o = 0; o < panel.pitch; o += 2, transposed += PMC_TILE_COLUMNS)
            for (int64_t v = 0; v < ROW; v += VL) {
                vf pairs[2];
                v_weave(pairs, (const factor *)(rows + o * ROW + v), (const factor *)(rows + (o + 1) * ROW + v));
                v_unweave(pairs);
                v_store(transposed + 2 * v, pairs[0]), v_store(transposed + 2 * v + VL, pairs[1]);
            }
    }
#else
    const int64_t pitch = pmc_linear_pitch(s);
    (void)words;
    transpose(transposed, w + input * pitch, MIN(PMC_TILE_COLUMNS, s->in - input), s->out, PMC_TILE_COLUMNS,
              PMC_TILE_COLUMNS, pitch);
#endif
}
