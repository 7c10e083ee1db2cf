/* Products with a thin operand: a vector, or a few rows. Every number of the large operand is used
 * so few times that packing it would cost as much as the product, so it is read where it lies,
 * once, at memory speed. Two orders of reading are enough:
 *
 *   dots      rows lie along k:    ── x ──>   c(i, j) = <x row i, w row j>. The sums are vectors
 *                                  ── w ──>   along k, added up at the end; DOTS x 4 share loads.
 *
 *   combine   rows lie across k:     x0 * ── w row 0 ──>   c = the sum over p of x(p) * w row p,
 *                                  + x1 * ── w row 1 ──>   ROWS of w at a time.
 *
 * Each element is summed in an order that depends on k alone, so any split over threads gives the
 * same bits. */

/* Registers: DOTS * 4 sums + DOTS + 4 loads; ROWS factors and a few sums. A strip is 64 vectors, 4
 * KiB at most. */
#undef DOTS
#undef ROWS
#undef STRIP
#define DOTS (MR >= 14 ? 6 : MR >= 8 ? 4 : 2)
#define ROWS 4
#define STRIP 64

/* Up to this many rows of the thin operand, dots are faster than packing where C is filled by
 * columns, or the thin operand does not fit the L2 cache with something else (else THIN, in
 * gemm-micro-inl.h), and combine is. */
#undef VERY_THIN
#undef COMBINED
#define VERY_THIN 12
#define COMBINED 4

/* One thin product: x, `few` rows of length k, with w, `many` rows (dots) or columns (combine) of
 * length k. Element (i, p) of x is x[i * x_row + p * x_col]; dots need x_col 1. Result (i, j) is
 * added to or stored in c[i * c_row + j * c_col]: when the thin operand is B, C is filled by
 * columns. */
struct NAME(thin) {
    T *c;
    size_t c_row, c_col;
    const T *x;
    size_t x_row, x_col;
    const T *w;
    size_t ldw;
    size_t few, many, k;
    int accumulate;
    int b_is_thin;                     /* w is A */
    const struct NAME(product) *whole; /* for its finish */
};

/* Store, or add, one number of C. */
WORD void NAME(put)(T *c, T value, int accumulate)
{
    *c = accumulate ? *c + value : value;
}

/* c (i, j ... j + count) = or += sums. */
WORD void NAME(put_row)(const struct NAME(thin) *t, size_t i, size_t j, const T *sums, size_t count)
{
    T *to = t->c + i * t->c_row + j * t->c_col;
    if (t->c_col == 1 && !t->accumulate) {
        memcpy(to, sums, count * sizeof(T));
        return;
    }
    for (size_t s = 0; s < count; s++) {
        NAME(put)(to + s * t->c_col, sums[s], t->accumulate);
    }
}

/* The sums of `rows` rows of x with 4 rows of w, four addresses each; rows is a constant where
 * this is called. */
WORD void NAME(dot_tile)(T sums[DOTS][4], const T *const *x, const T *const *w, size_t k,
                         const size_t rows)
{
    V sum[DOTS][4];
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            sum[i][j] = vzero();
        }
    }
    for (size_t p = 0; p < k; p += LANES) {
        size_t depth = k - p;
        V down[DOTS];
        UNROLL
        for (size_t i = 0; i < rows; i++) {
            down[i] = NAME(load_upto)(x[i] + p, depth);
        }
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            V across = NAME(load_upto)(w[j] + p, depth);
            UNROLL
            for (size_t i = 0; i < rows; i++) {
                sum[i][j] = vfma(down[i], across, sum[i][j]);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        NAME(add_lanes)(sums[i], sum[i]);
    }
}

/* c (rows, count) = or += sums; count <= 4. */
WORD void NAME(put_sums)(const struct NAME(thin) *t, size_t i, size_t j, T sums[DOTS][4],
                         size_t rows, size_t count)
{
    for (size_t r = 0; r < rows; r++) {
        NAME(put_row)(t, i + r, j, sums[r], count);
    }
}

/* Rows [i, i + rows) of x with the 4 rows of w that begin at row j, of which `count` are there. A
 * tile that is not full repeats its last row and drops the copies. */
WORD void NAME(dot_rows)(const struct NAME(thin) *t, size_t i, size_t rows, size_t j, size_t count)
{
    const T *w[4];
    const T *x[DOTS];
    T sums[DOTS][4];
    for (size_t s = 0; s < 4; s++) {
        w[s] = t->w + (j + tg_min(s, count - 1)) * t->ldw;
    }
    for (size_t r = 0; r < DOTS; r++) {
        x[r] = t->x + (i + tg_min(r, rows - 1)) * t->x_row;
    }
    if (rows == 1) {
        NAME(dot_tile)(sums, x, w, t->k, 1);
    } else if (rows == 2) {
        NAME(dot_tile)(sums, x, w, t->k, 2);
    } else if (rows <= 4 && DOTS > 4) {
        NAME(dot_tile)(sums, x, w, t->k, 4);
    } else {
        NAME(dot_tile)(sums, x, w, t->k, DOTS);
    }
    NAME(put_sums)(t, i, j, sums, rows, count);
}

/* dots for rows [begin, end) of w, the rows of x in tiles of nearly equal height. */
static void NAME(dots)(const struct NAME(thin) *t, size_t begin, size_t end)
{
    size_t tiles = NAME(ratio_up)(t->few, DOTS);
    size_t pairs = NAME(ratio_up)(t->few, 2);
    for (size_t j = begin; j < end; j += 4) {
        size_t i = 0;
        for (size_t tile = 0; tile < tiles; tile++) {
            size_t rows = 2 * (pairs / tiles + (tile < pairs % tiles));
            rows = tg_min(rows, t->few - i);
            NAME(dot_rows)(t, i, rows, j, tg_min(4, end - j));
            i += rows;
        }
    }
}

/* sums += x (rows) w (rows, width), width of one vector at most; rows is a constant where this is
 * called. */
WORD void NAME(combine_vector)(T *sums, const V *scale, const T *w, size_t ldw, size_t width,
                               const size_t rows)
{
    V sum = vload(sums);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sum = vfma(scale[r], NAME(load_upto)(w + r * ldw, width), sum);
    }
    vstore(sums, sum);
}

/* sums += x (rows) w (rows, head + count): the sums are loaded and stored once for `rows` rows, a
 * constant where this is called. The first `head` columns have a vector of the sums for
 * themselves. */
WORD void NAME(combine_rows)(T *sums, const T *x, size_t x_col, const T *w, size_t ldw, size_t head,
                             size_t count, const size_t rows)
{
    V scale[ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        scale[r] = vset(x[r * x_col]);
    }
    if (head) {
        NAME(combine_vector)(sums, scale, w, ldw, head, rows);
        sums += LANES;
        w += head;
    }
    size_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        NAME(combine_vector)(sums + j, scale, w + j, ldw, LANES, rows);
    }
    if (j < count) {
        NAME(combine_vector)(sums + j, scale, w + j, ldw, count - j, rows);
    }
}

/* How many of `count` columns to take before those that begin a vector in memory. A vector that
 * straddles two cache lines is loaded twice, which costs a third of the speed where the L2 cache
 * feeds it; a few columns are not worth a vector more. */
static size_t NAME(columns_before)(const T *w, size_t count)
{
    size_t over = (uintptr_t)w % sizeof(V) / sizeof(T);
    return over && count >= 8 * LANES ? LANES - over : 0;
}

/* combine for columns [begin, end) of w. A strip of the rows of w streams by, ROWS at a time; the
 * strip's sums stay in the L1 cache. */
static void NAME(combine)(const struct NAME(thin) *t, size_t begin, size_t end)
{
    T sums[COMBINED][(STRIP + 1) * LANES];
    size_t head, count;
    for (size_t j = begin; j < end; j += head + count) {
        head = NAME(columns_before)(t->w + j, end - j);
        count = tg_min(end - j - head, STRIP * LANES);
        memset(sums, 0, t->few * sizeof sums[0]);
        for (size_t p = 0; p < t->k; p += ROWS) {
            const T *w = t->w + p * t->ldw + j;
            for (size_t i = 0; i < t->few; i++) {
                const T *x = t->x + i * t->x_row + p * t->x_col;
                if (t->k - p >= ROWS) {
                    NAME(combine_rows)(sums[i], x, t->x_col, w, t->ldw, head, count, ROWS);
                }
                for (size_t r = 0; t->k - p < ROWS && r < t->k - p; r++) {
                    NAME(combine_rows)(sums[i], x + r * t->x_col, t->x_col, w + r * t->ldw, t->ldw,
                                       head, count, 1);
                }
            }
        }
        for (size_t i = 0; i < t->few; i++) {
            NAME(put_row)(t, i, j, sums[i], head);
            NAME(put_row)(t, i, j + head, sums[i] + (head ? LANES : 0), count);
        }
    }
}

/* Finish the part of C that belongs to [begin, end) of w. */
static void NAME(finish_thin)(const struct NAME(thin) *t, size_t begin, size_t end)
{
    const struct NAME(product) *g = t->whole;
    if (g->finish && t->b_is_thin) {
        g->finish(t->c + begin * g->ldc, end - begin, t->few, g->ldc, 0, g->context);
    } else if (g->finish) {
        g->finish(t->c + begin, t->few, end - begin, g->ldc, begin, g->context);
    }
}

static void NAME(dots_task)(void *context, size_t begin, size_t end)
{
    NAME(dots)(context, begin, end);
    NAME(finish_thin)(context, begin, end);
}

static void NAME(combine_task)(void *context, size_t begin, size_t end)
{
    NAME(combine)(context, begin, end);
    NAME(finish_thin)(context, begin, end);
}

/* Whether the rows of the large operand lie along k. */
static int NAME(is_along)(const struct NAME(product) *g)
{
    if (g->n < g->m) {
        return !(g->flags & TG_TRANS_A);
    }
    return g->flags & TG_TRANS_B || (g->n == 1 && g->ldb == 1);
}

/* Whether a product belongs to this file: a vector, or a few rows. For dots both operands must lie
 * along k, and be long enough to make up for adding the lanes at the end: the more rows share the
 * cost of packing, the longer. */
static int NAME(is_thin)(const struct NAME(product) *g)
{
    size_t few = tg_min(g->m, g->n);
    int both_along = !(g->flags & TG_TRANS_A) && g->flags & TG_TRANS_B;
    if (few == 1) {
        return 1;
    }
    if (!NAME(is_along)(g)) {
        return few <= COMBINED;
    }
    size_t most = g->n < g->m || few * g->k > OWN_CACHE / 2 ? VERY_THIN : THIN;
    int long_enough = g->k >= 8 * LANES && few * LANES <= 2 * g->k;
    return both_along && few <= most && long_enough;
}

/* Copy x to where its rows lie along k and are not a power of two apart: such rows would drive each
 * other out of the L1 cache. */
static int NAME(lay_rows)(struct NAME(thin) *t)
{
    size_t row = (NAME(ratio_up)(t->k, LANES) + 1) * LANES;
    T *copy = tg_scratch(t->few * row * sizeof(T));
    if (copy == NULL) {
        return TG_ENOMEM;
    }
    for (size_t i = 0; i < t->few; i++) {
        const T *from = t->x + i * t->x_row;
        if (t->x_col == 1) {
            memcpy(copy + i * row, from, t->k * sizeof(T));
        }
        for (size_t p = 0; t->x_col != 1 && p < t->k; p++) {
            copy[i * row + p] = from[p * t->x_col];
        }
    }
    t->x = copy;
    t->x_row = row;
    t->x_col = 1;
    return TG_OK;
}

static int NAME(multiply_thin)(const struct NAME(product) *g)
{
    int trans_a = g->flags & TG_TRANS_A;
    int trans_b = g->flags & TG_TRANS_B;
    struct NAME(thin) t = {.c = g->c,
                           .k = g->k,
                           .accumulate = g->flags & TG_ACCUMULATE,
                           .b_is_thin = g->n < g->m,
                           .whole = g};
    if (t.b_is_thin) {
        t.x = g->b;
        t.w = g->a;
        t.few = g->n;
        t.many = g->m;
        t.x_row = trans_b ? g->ldb : 1;
        t.x_col = trans_b ? 1 : g->ldb;
        t.ldw = g->lda;
        t.c_row = 1;
        t.c_col = g->ldc;
    } else {
        t.x = g->a;
        t.w = g->b;
        t.few = g->m;
        t.many = g->n;
        t.x_row = trans_a ? 1 : g->lda;
        t.x_col = trans_a ? g->lda : 1;
        t.ldw = g->ldb;
        t.c_row = g->ldc;
        t.c_col = 1;
    }
    if (!NAME(is_along)(g)) {
        size_t strip = 8 * LANES;
        tg_parallel_for(t.many, NAME(ratio_up)(TG_GRAIN, strip * t.k) * strip, NAME(combine_task),
                        &t);
        return TG_OK;
    }
    int collide = t.few > 2 && t.x_row * sizeof(T) % 1024 == 0;
    if ((t.x_col != 1 || collide) && NAME(lay_rows)(&t) != TG_OK) {
        return TG_ENOMEM;
    }
    size_t grains = t.k * NAME(ratio_up)(t.few, 8) * t.many / TG_GRAIN;
    grains = tg_max(1, grains / 2 * 2); /* for two threads */
    size_t fours = NAME(ratio_up)(t.many, 4);
    tg_parallel_for(t.many, NAME(ratio_up)(fours, grains) * 4, NAME(dots_task), &t);
    return TG_OK;
}
