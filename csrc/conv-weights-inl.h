/* conv-weights-inl.h: the gradient of a convolution with respect to its weights, without columns,
 * for any stride; see conv-inl.h.
 *
 * The lanes are the out channels: dz is transposed, and the numbers of the image are broadcast from
 * where the cells show them. A tile is ROWS cells by one or two vectors of out channels, summed
 * over the places of a block, and the multiply-adds bound it if the channels fill the vectors. */

/* Numbers of dz that are transposed at a time. */
#undef DZ_BLOCK
#define DZ_BLOCK (((size_t)64 << 10) / sizeof(T))

/* sums (rows, vectors) += for each row a cell: the sum over the places of the number that it shows,
 * at cell[row][place], times the vectors of dz (count, ld). */
WORD void NAME(weight_tile)(T *sums, size_t ld, const T *const *cell, const size_t *place,
                            const T *dz, size_t count, const size_t vectors)
{
    V sum[ROWS][2];
    UNROLL
    for (size_t r = 0; r < ROWS; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            sum[r][v] = vload(sums + r * ld + v * LANES);
        }
    }
    for (size_t p = 0; p < count; p++, dz += ld) {
        V across[2];
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            across[v] = vload(dz + v * LANES);
        }
        UNROLL
        for (size_t r = 0; r < ROWS; r++) {
            V shown = vset(cell[r][place[p]]);
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[r][v] = vfma(shown, across[v], sum[r][v]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < ROWS; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            vstore(sums + r * ld + v * LANES, sum[r][v]);
        }
    }
}

/* dz of some places, transposed, and what it is multiplied with. */
struct NAME(to_weights) {
    const struct NAME(conv) *v;
    const T *image, *dz;
    size_t count;               /* places */
    T *part;                    /* (depth in whole tiles, across) */
};

/* Tiles [begin, end) of ROWS cells. The last may repeat the last cell: its copies are not read. */
static void NAME(weight_tiles)(void *context, size_t begin, size_t end)
{
    const struct NAME(to_weights) *t = context;
    size_t ld = t->v->across;
    for (size_t i = begin; i < end; i++) {
        const T *cell[ROWS];
        T *sums = t->part + i * ROWS * ld;
        for (size_t r = 0; r < ROWS; r++) {
            cell[r] = t->image + t->v->cell[tg_min(i * ROWS + r, t->v->cells - 1)];
        }
        for (size_t o = 0; o < ld; o += 2 * LANES) {
            if (ld - o == LANES) {
                NAME(weight_tile)(sums + o, ld, cell, t->v->place, t->dz + o, t->count, 1);
            } else {
                NAME(weight_tile)(sums + o, ld, cell, t->v->place, t->dz + o, t->count, 2);
            }
        }
    }
}

/* The numbers in a transposed row of dz; 0 where the columns are the better way: when the out
 * channels leave vectors empty, or a tile has too few sums to hide the latency of one. */
static size_t NAME(direct_across)(size_t out)
{
    size_t across = NAME(whole_vectors)(out);
    size_t sums = ROWS * tg_min(2, across / LANES);
    return 8 * out < 7 * across || sums < 8 ? 0 : across;
}

/* Numbers in a part of dw: of each group the sums of whole tiles of cells, then db. */
static size_t NAME(direct_part)(const struct NAME(conv) *v)
{
    return (NAME(ratio_up)(v->cells, ROWS) * ROWS + 1) * v->across;
}

/* Add the sum of dz's places to db. */
WORD void NAME(add_places)(T *db, const T *dz, size_t count, size_t ld)
{
    for (size_t o = 0; o < ld; o += LANES) {
        V sum = vload(db + o);
        for (size_t p = 0; p < count; p++) {
            sum = sum + vload(dz + p * ld + o);
        }
        vstore(db + o, sum);
    }
}

/* Add to a part of dw what one laid image, with the gradient dz (out, places), contributes. */
static int NAME(direct_to_weight)(const struct NAME(conv) *v, const T *image, const T *dz, T *part)
{
    const struct tg_window *w = &v->window;
    size_t tiles = NAME(ratio_up)(v->cells, ROWS);
    T *turned = tg_scratch((v->block_rows * w->out[1] * v->across + LANES) * sizeof(T));
    if (turned == NULL) {
        return TG_ENOMEM;
    }
    for (size_t y0 = 0; y0 < w->out[0]; y0 += v->block_rows) {
        size_t count = tg_min(v->block_rows, w->out[0] - y0) * w->out[1];
        struct NAME(to_weights) t = {.v = v, .dz = turned, .count = count, .part = part};
        t.image = image + y0 * w->stride[0] * v->pitch;
        NAME(pack_transpose)(turned, v->across, dz + y0 * w->out[1], v->out, v->places, count);
        NAME(add_places)(part + tiles * ROWS * v->across, turned, count, v->across);
        tg_parallel_for(tiles, NAME(ratio_up)(GRAIN, ROWS * v->across * count),
                        NAME(weight_tiles), &t);
    }
    return TG_OK;
}
