/* The general product: packed panels, cache blocks, register tiles; the picture is in gemm-inl.h. */

/* One slab of a product, ready to be packed and multiplied. Element (i, p) of A is
 * a[i * a_row + p * a_col], B likewise: one of the two steps is 1. Panels before `whole` are read
 * where they lie, the others are packed. */
struct NAME(slab) {
    T *c;
    const T *a, *b;
    size_t m, n, k;
    size_t ldc, a_row, a_col, b_row, b_col;
    size_t a_whole, b_whole;
    size_t a_panels, b_panels;
    T *a_packed, *b_packed;
    size_t a_size, b_size; /* numbers from one packed panel to the next */
    size_t columns;        /* of a unit */
    int accumulate;
    size_t first;          /* column of C where the slab begins */
    NAME(finish) finish;
    const void *context;
};

/* Numbers of A, and of B, packed at a time: about 5 MiB each. */
#undef SLAB
#define SLAB (((size_t)5 << 20) / sizeof(T))
/* An operand that meets at most this many panels of the other is read where it lies. */
#undef A_IN_PLACE
#undef B_IN_PLACE
#define A_IN_PLACE 8
#define B_IN_PLACE 12
/* Units in a run, at most: the part of C that `finish` finds in the L2 cache. */
#undef RUN
#define RUN ((size_t)16)
/* Multiply-adds that are worth waking a thread for. */
#undef GRAIN
#define GRAIN ((size_t)1 << 19)

WORD size_t NAME(ratio_up)(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* The length of the pieces when `total` is cut into equal pieces of at most `most`, multiples of
 * `step`. */
static size_t NAME(piece)(size_t total, size_t most, size_t step)
{
    size_t pieces = NAME(ratio_up)(total, most);
    return NAME(ratio_up)(NAME(ratio_up)(total, pieces), step) * step;
}

/* ---- Packing --------------------------------------------------------------------------------- */

/* Pack panels [begin, end) of those to be packed: A's, then B's. */
static void NAME(pack_panels)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    size_t of_a = s->a_panels - s->a_whole;
    for (size_t panel = begin; panel < end; panel++) {
        if (panel < of_a) {
            size_t i = (s->a_whole + panel) * MR;
            NAME(pack)(s->a_packed + panel * s->a_size, MR, s->a + i * s->a_row, s->m - i, s->a_row,
                       s->k, s->a_col);
        } else {
            size_t j = (s->b_whole + panel - of_a) * NR;
            NAME(pack)(s->b_packed + (panel - of_a) * s->b_size, NR, s->b + j * s->b_col, s->n - j,
                       s->b_col, s->k, s->b_row);
        }
    }
}

/* ---- Multiplying ----------------------------------------------------------------------------- */

/* Add the MR x NR numbers of a complete tile to the part of it that C has. */
static void NAME(merge)(T *c, size_t ldc, const T *tile, size_t rows, size_t cols, int accumulate)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j += LANES) {
            V sum = vload(tile + i * NR + j);
            if (accumulate) {
                sum = NAME(load_upto)(c + i * ldc + j, cols - j) + sum;
            }
            NAME(store_upto)(c + i * ldc + j, sum, cols - j);
        }
    }
}

/* The tile of panel i of A and panel j of B, summed over k from p to p + depth. A tile that C has
 * only a part of, and that the micro-kernel cannot make smaller, is computed beside C. */
static void NAME(tile)(const struct NAME(slab) *s, size_t i, size_t j, size_t p, size_t depth)
{
    size_t rows = tg_min(MR, s->m - i * MR);
    size_t cols = tg_min(NR, s->n - j * NR);
    size_t computed = NAME(micro_rows)(rows);
    size_t vectors = cols <= LANES ? 1 : 2;
    int accumulate = s->accumulate || p > 0;
    int beside = computed != rows || cols != vectors * LANES;
    T aside[MR * NR];
    T *c = s->c + i * MR * s->ldc + j * NR;
    T *to = beside ? aside : c;
    size_t ld = beside ? NR : s->ldc;
    int in_place = j < s->b_whole;
    const T *b = in_place ? s->b + p * s->b_row + j * NR
                          : s->b_packed + (j - s->b_whole) * s->b_size + p * NR;
    size_t b_row = in_place ? s->b_row : NR;
    if (i < s->a_whole) {
        const T *a = s->a + i * MR * s->a_row + p * s->a_col;
        NAME(micro_in_place)(to, ld, a, s->a_row, s->a_col, b, b_row, depth, accumulate && !beside,
                             vectors);
    } else {
        const T *a = s->a_packed + (i - s->a_whole) * s->a_size + p * MR;
        NAME(micro_packed)(to, ld, a, b, b_row, depth, accumulate && !beside, computed, vectors);
    }
    if (beside) {
        NAME(merge)(c, s->ldc, aside, rows, cols, accumulate);
    }
}

/* A run of units: panels [i0, i1) of A by the columns of one unit, from j0. */
static void NAME(run)(const struct NAME(slab) *s, size_t i0, size_t i1, size_t j0)
{
    size_t cols = tg_min(s->columns, s->n - j0);
    for (size_t p = 0; p < s->k; p += KC) {
        size_t depth = tg_min(KC, s->k - p);
        for (size_t i = i0; i < i1; i++) {
            for (size_t j = j0; j < j0 + cols; j += NR) {
                NAME(tile)(s, i, j / NR, p, depth);
            }
        }
    }
    if (s->finish) {
        s->finish(s->c + i0 * MR * s->ldc + j0, tg_min((i1 - i0) * MR, s->m - i0 * MR), cols,
                  s->ldc, s->first + j0, s->context);
    }
}

/* Units [begin, end), counted down the columns of units. */
static void NAME(multiply_units)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    while (begin < end) {
        size_t i = begin % s->a_panels;
        size_t count = tg_min(tg_min(s->a_panels - i, end - begin), RUN);
        NAME(run)(s, i, i + count, begin / s->a_panels * s->columns);
        begin += count;
    }
}

/* Cut a slab into panels and units, and decide which panels to pack. Fewer columns to a unit when
 * there would be too few units to share, but at least two panels of B: A's are used again. */
static void NAME(plan)(struct NAME(slab) *s)
{
    s->a_panels = NAME(ratio_up)(s->m, MR);
    s->b_panels = NAME(ratio_up)(s->n, NR);
    s->a_whole = s->b_panels > A_IN_PLACE ? 0 : s->m / MR;
    s->b_whole = s->a_panels > B_IN_PLACE || s->b_col != 1 ? 0 : s->n / NR;
    s->a_size = NAME(panel_size)(MR, s->k);
    s->b_size = NAME(panel_size)(NR, s->k);
    s->columns = NC;
    while (s->columns > 2 * NR && s->a_panels * NAME(ratio_up)(s->n, s->columns) < 16) {
        s->columns = NAME(ratio_up)(s->columns / 2, NR) * NR;
    }
}

/* One slab: plan, pack, multiply. */
static int NAME(multiply_slab)(struct NAME(slab) *s)
{
    NAME(plan)(s);
    size_t a_packed = s->a_panels - s->a_whole;
    size_t b_packed = s->b_panels - s->b_whole;
    if (a_packed + b_packed > 0) {
        s->a_packed = tg_scratch((a_packed * s->a_size + b_packed * s->b_size) * sizeof(T));
        if (s->a_packed == NULL) {
            return TG_ENOMEM;
        }
        s->b_packed = s->a_packed + a_packed * s->a_size;
    }
    size_t units = s->a_panels * NAME(ratio_up)(s->n, s->columns);
    size_t unit_work = MR * tg_min(s->columns, s->n) * s->k;
    tg_parallel_for(a_packed + b_packed, NAME(ratio_up)(TG_GRAIN, NR * s->k), NAME(pack_panels), s);
    tg_parallel_for(units, NAME(ratio_up)(GRAIN, unit_work), NAME(multiply_units), s);
    return TG_OK;
}

/* A product by slabs: k is cut only where m or n is so long that a panel of all k would leave no
 * room. */
static int NAME(multiply_slabs)(const struct NAME(product) *g)
{
    int trans_a = g->flags & TG_TRANS_A;
    int trans_b = g->flags & TG_TRANS_B;
    size_t most_k = tg_max(4 * KC, SLAB / tg_max(g->m, g->n) / KC * KC);
    size_t step_k = NAME(piece)(g->k, most_k, KC);
    size_t room = SLAB / tg_min(step_k, g->k);
    size_t step_m = NAME(piece)(g->m, tg_max(room, MR), MR);
    size_t step_n = NAME(piece)(g->n, tg_max(room, NR), NR);
    struct NAME(slab) s = {.ldc = g->ldc, .context = g->context};
    s.a_row = trans_a ? 1 : g->lda;
    s.a_col = trans_a ? g->lda : 1;
    s.b_row = trans_b ? 1 : g->ldb;
    s.b_col = trans_b ? g->ldb : 1;
    for (size_t j = 0; j < g->n; j += step_n) {
        for (size_t i = 0; i < g->m; i += step_m) {
            for (size_t p = 0; p < g->k; p += step_k) {
                s.m = tg_min(step_m, g->m - i);
                s.n = tg_min(step_n, g->n - j);
                s.k = tg_min(step_k, g->k - p);
                s.c = g->c + i * g->ldc + j;
                s.a = g->a + i * s.a_row + p * s.a_col;
                s.b = g->b + p * s.b_row + j * s.b_col;
                s.accumulate = p > 0 || g->flags & TG_ACCUMULATE;
                s.first = j;
                s.finish = p + s.k == g->k ? g->finish : NULL;
                int status = NAME(multiply_slab)(&s);
                if (status != TG_OK) {
                    return status;
                }
            }
        }
    }
    return TG_OK;
}
