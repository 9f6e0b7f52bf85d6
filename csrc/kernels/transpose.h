/* The one transposition: of weights into packed weights, and between channels last and channels first.
 *
 *   to [columns][width] <- from [rows][columns], zeros where width goes beyond rows
 *
 * A square of VL x VL stays in registers. Rows and lanes number its elements in binary; interleaving row i with row
 * i + VL/2 rotates these digits by one, so that log2(VL) rounds exchange rows and lanes. */
#pragma once
#include "vectors.h"

INLINE void transpose_square(vf r[VL]) {
    for (int round = VL; round > 1; round /= 2) {
        vf next[VL];
        for (int i = 0; i < VL / 2; i++) {
            next[2 * i] = v_interleave_low(r[i], r[i + VL / 2]);
            next[2 * i + 1] = v_interleave_high(r[i], r[i + VL / 2]);
        }
        memcpy(r, next, sizeof next);
    }
}

/* sums[i] <- sum_partials(partial[i]): as many at a time as there are lanes, by the same tree. */
INLINE void sums_of_partials(real *sums, vf (*partial)[PARTS], const int count) {
    for (int first = 0; first < count; first += VL) {
        vf sum[VL];
        for (int i = 0; i < VL; i++) {
            sum[i] = (vf){0};
            if (first + i >= count) continue;
            for (int half = PARTS / 2; half; half /= 2)
                for (int part = 0; part < half; part++) partial[first + i][part] += partial[first + i][part + half];
            sum[i] = partial[first + i][0];
        }
        transpose_square(sum);
        for (int half = VL / 2; half; half /= 2)
            for (int i = 0; i < half; i++) sum[i] += sum[i + half];
        v_store_n(sums + first, sum[0], count - first);
    }
}

static void transpose(real *to, const real *from, int64_t rows, int64_t columns, int64_t width, int64_t to_pitch,
                      int64_t from_pitch) {
    for (int64_t row = 0; row < width; row += VL)
        for (int64_t column = 0; column < columns; column += VL) {
            vf square[VL];
            for (int i = 0; i < VL; i++)
                square[i] =
                    row + i < rows ? v_load_n(from + (row + i) * from_pitch + column, columns - column) : (vf){0};
            transpose_square(square);
            for (int i = 0; i < MIN(VL, columns - column); i++)
                v_store_n(to + (column + i) * to_pitch + row, square[i], width - row);
        }
}
