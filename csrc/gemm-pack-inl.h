/* Packing: a panel of A or B copied into the order in which the micro-kernel reads it.
 *
 *   A, MR rows:  ┌ k ───────────┐       packed:  p = 0  1      2
 *                │ a00 a01 a02  │                ┌──────┬──────┬──────┬──
 *                │ a10 a11 a12  │       ->       │ a00  │ a01  │ a02  │    `width` numbers for
 *                │ ...          │                │ a10  │ a11  │ a12  │    each p; zeros where
 *                └──────────────┘                └──────┴──────┴──────┴──  lines are missing
 *
 * A panel of B is the same with columns for rows, so one function serves both: a panel is made of
 * `lines` (rows of A, columns of B) and is packed by copying where the lines are adjacent in
 * memory, by transposing LANES x LANES blocks where k is. The stores are whole vectors: what a
 * store spills past its `width` numbers is overwritten by the next p, so packing must run in the
 * order of p, and a panel needs LANES numbers of room behind it (panel_size counts them). */

/* The numbers from one packed panel to the next: a multiple of 64 bytes. */
static size_t NAME(panel_size)(size_t width, size_t k)
{
    size_t line = 64 / sizeof(T);
    return (width * k + LANES + line - 1) / line * line;
}

/* Which numbers of two vectors, counted through both, interleave their low halves and their high
 * halves: a0 b0 a1 b1 ... And which numbers of one exchange its halves, and its quarters, where it
 * has more than four and more than eight. */
#undef ZIP_LOW
#undef ZIP_HIGH
#undef HALVES
#undef QUARTERS
#if defined(__has_builtin) && !defined(TG_SCALAR)
#if __has_builtin(__builtin_shufflevector)
#if (defined(TG_F32) && TG_VECTOR_BYTES == 64)
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define HALVES 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7
#define QUARTERS 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11
#elif (defined(TG_F32) && TG_VECTOR_BYTES == 32) || TG_VECTOR_BYTES == 64
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define HALVES 4, 5, 6, 7, 0, 1, 2, 3
#elif (defined(TG_F32) && TG_VECTOR_BYTES == 16) || TG_VECTOR_BYTES == 32
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#else
#define ZIP_LOW 0, 2
#define ZIP_HIGH 1, 3
#endif
#endif
#endif

/* Transpose the LANES x LANES numbers of x in place. Zipping row i with row i + LANES/2, for all
 * i, is one step of a perfect shuffle of the number's address (row, lane); after log2(LANES) steps
 * row and lane have changed places. */
WORD void NAME(transpose)(V *x)
{
#ifdef ZIP_LOW
    UNROLL
    for (size_t step = 1; step < LANES; step *= 2) {
        V y[LANES];
        UNROLL
        for (size_t i = 0; i < LANES / 2; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + LANES / 2], ZIP_LOW);
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + LANES / 2], ZIP_HIGH);
        }
        UNROLL
        for (size_t i = 0; i < LANES; i++) {
            x[i] = y[i];
        }
    }
#else
    T square[LANES][LANES];
    T turned[LANES][LANES];
    for (size_t i = 0; i < LANES; i++) {
        vstore(square[i], x[i]);
    }
    for (size_t i = 0; i < LANES; i++) {
        for (size_t j = 0; j < LANES; j++) {
            turned[j][i] = square[i][j];
        }
    }
    for (size_t i = 0; i < LANES; i++) {
        x[i] = vload(turned[i]);
    }
#endif
}

/* The sums of the lanes of four vectors. A zip and an addition halve the lanes of two vectors at
 * once, and leave them interleaved: a0+a2 b0+b2 a1+a3 b1+b3. Each vector's lanes are added in the
 * same order. */
WORD void NAME(add_lanes)(T sums[4], const V *x)
{
#ifdef ZIP_LOW
    V first = __builtin_shufflevector(x[0], x[2], ZIP_LOW) +
              __builtin_shufflevector(x[0], x[2], ZIP_HIGH);
    V second = __builtin_shufflevector(x[1], x[3], ZIP_LOW) +
               __builtin_shufflevector(x[1], x[3], ZIP_HIGH);
    T lane[2 * LANES];
    if (LANES >= 4) {
        V all = __builtin_shufflevector(first, second, ZIP_LOW) +
                __builtin_shufflevector(first, second, ZIP_HIGH);
#ifdef HALVES
        all = all + __builtin_shufflevector(all, all, HALVES);
#endif
#ifdef QUARTERS
        all = all + __builtin_shufflevector(all, all, QUARTERS);
#endif
        vstore(lane, all);
    } else {
        vstore(lane, first);
        vstore(lane + LANES, second);
    }
    for (size_t j = 0; j < 4; j++) {
        sums[j] = LANES >= 4 ? lane[j] : lane[j % 2 * 2 + j / 2];
    }
#else
    for (size_t j = 0; j < 4; j++) {
        sums[j] = vhsum(x[j]);
    }
#endif
}

/* Lines adjacent in memory: from[p * k_step + line]. The panels go side by side, so that a row is
 * read in one piece. */
static void NAME(pack_copy)(T *to, size_t width, size_t size, size_t panels, const T *from,
                            size_t lines, size_t k, size_t k_step)
{
    for (size_t p = 0; p < k; p++) {
        for (size_t i = 0; i < panels; i++) {
            PREFETCH(from + 8 * k_step + i * width);
            PREFETCH(from + 8 * k_step + i * width + width - 1);
            for (size_t v = 0; v < width; v += LANES) {
                size_t line = i * width + v;
                vstore(to + i * size + v,
                       line < lines ? NAME(load_upto)(from + line, lines - line) : vzero());
            }
        }
        to += width;
        from += k_step;
    }
}

/* One block of the transposition: up to LANES lines, `depth` <= LANES numbers of each, to[p *
 * width + line]. */
WORD void NAME(pack_block)(T *to, size_t width, const T *from, size_t lines, size_t line_step,
                           size_t depth)
{
    V x[LANES];
    if (lines >= LANES && depth >= LANES) {
        UNROLL
        for (size_t i = 0; i < LANES; i++) {
            x[i] = vload(from + i * line_step);
        }
    } else {
        UNROLL
        for (size_t i = 0; i < LANES; i++) {
            x[i] = i < lines ? NAME(load_upto)(from + i * line_step, depth) : vzero();
        }
    }
    NAME(transpose)(x);
    UNROLL
    for (size_t p = 0; p < LANES; p++) {
        if (p < depth) {
            vstore(to + p * width, x[p]);
        }
    }
}

/* k adjacent in memory: from[line * line_step + p]. Within a block of p the last lines go first:
 * they spill into the next p's first. */
static void NAME(pack_transpose)(T *to, size_t width, const T *from, size_t lines, size_t line_step,
                                 size_t k)
{
    for (size_t p = 0; p < k; p += LANES) {
        size_t depth = k - p < LANES ? k - p : LANES;
        for (size_t v = (width - 1) / LANES * LANES + LANES; v > 0; v -= LANES) {
            size_t first = v - LANES;
            size_t count = lines > first ? lines - first : 0;
            const T *block = count > 0 ? from + first * line_step + p : from;
            NAME(pack_block)(to + p * width + first, width, block, count, line_step, depth);
        }
    }
}

/* Panels of `width` lines each, `size` numbers apart: to[p * width + line] =
 * from[line * line_step + p * k_step] for line < lines, zero for the others; one of the steps is 1.
 * `lines` may exceed what the panels hold: what lies beyond may be read, so as to load whole
 * vectors, and does not matter. */
static void NAME(pack)(T *to, size_t width, size_t size, size_t panels, const T *from, size_t lines,
                       size_t line_step, size_t k, size_t k_step)
{
    size_t group = line_step == 1 ? 8 : 1;
    for (size_t i = 0; i < panels; i += group) {
        size_t first = i * width;
        T *panel = to + i * size;
        if (line_step == 1) {
            NAME(pack_copy)(panel, width, size, tg_min(group, panels - i), from + first,
                            lines - first, k, k_step);
        } else {
            NAME(pack_transpose)(panel, width, from + first * line_step, lines - first, line_step,
                                 k);
        }
    }
}
