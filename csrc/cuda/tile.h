/* Products in tiles: what convolutions and large linear layers are made of.
 *
 * A block computes TILE_ROWS x TILE_COLUMNS sums, each thread OWN_ROWS x OWN_COLUMNS of them in registers. Piece by
 * piece of the depth, its threads bring both factors to shared memory, each in its own way, and then add their
 * products, so that every sum is one chain of FMAs in the order of the depth. */

enum { TILE_ROWS = 64, TILE_COLUMNS = 32, TILE_DEPTH = 16, OWN_ROWS = 4, OWN_COLUMNS = 4 };
enum { TILE_PITCH = TILE_ROWS + 4 }; /* apart by some banks of shared memory */
enum { THREADS_ACROSS = TILE_COLUMNS / OWN_COLUMNS };

typedef real factor_rows[TILE_DEPTH][TILE_PITCH];
typedef real factor_columns[TILE_DEPTH][TILE_COLUMNS];
typedef real own_sums[OWN_ROWS][OWN_COLUMNS];

/* Where a thread's own sums lie in the tile. */
INLINE int own_row(int t) { return t / THREADS_ACROSS * OWN_ROWS; }
INLINE int own_column(int t) { return t % THREADS_ACROSS * OWN_COLUMNS; }
#define FOR_OWN(r, c) UNROLL for (int r = 0; r < OWN_ROWS; r++) UNROLL for (int c = 0; c < OWN_COLUMNS; c++)

/* sum += a' * b, a piece of the depth */
BLOCK tile_add(own_sums sum, const factor_rows a, const factor_columns b, int t) {
    for (int k = 0; k < TILE_DEPTH; k++) {
        real rows[OWN_ROWS], columns[OWN_COLUMNS];
        UNROLL for (int r = 0; r < OWN_ROWS; r++) rows[r] = a[k][own_row(t) + r];
        UNROLL for (int c = 0; c < OWN_COLUMNS; c++) columns[c] = b[k][own_column(t) + c];
        FOR_OWN(r, c) sum[r][c] = v_fma(rows[r], columns[c], sum[r][c]);
    }
}

/* The tile of a block, where tiles of columns follow each other. */
typedef struct {
    int64_t row, column, rest; /* first row and column; what is left of the block's number */
} tile;
INLINE int64_t tiles_of(int64_t rows, int64_t columns) {
    return blocks_of(rows, TILE_ROWS) * blocks_of(columns, TILE_COLUMNS);
}
INLINE tile tile_of(int64_t block, int64_t rows, int64_t columns) {
    const int64_t across = blocks_of(columns, TILE_COLUMNS), down = blocks_of(rows, TILE_ROWS);
    const tile this_one = {block / across % down * TILE_ROWS, block % across * TILE_COLUMNS, block / across / down};
    return this_one;
}
