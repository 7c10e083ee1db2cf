/* The general product: panels, cache blocks, register tiles; the picture is in gemm-inl.h. */

/* Which operand is packed by those who multiply it. */
#ifndef TG_GEMM_OWN
#define TG_GEMM_OWN
enum tg_own { TG_OWN_NONE, TG_OWN_A, TG_OWN_B };
#endif

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
    size_t rows, longer;   /* of a panel of A: `rows`, and two more in the first `longer` */
    T *a_packed, *b_packed;
    size_t a_size, b_size; /* numbers from one packed panel to the next */
    size_t columns;        /* of a unit */
    enum tg_own own;
    int accumulate;
    size_t first;          /* column of C where the slab begins */
    NAME(finish) finish;
    const void *context;
};

/* Numbers of A, and of B, packed at a time: about 5 MiB each. */
#undef SLAB
#define SLAB (((size_t)5 << 20) / sizeof(T))
/* Numbers that stay in a core's own cache, however often they are read; and how many panels of A
 * and of B are enough to be shared by those who pack them. */
#undef OWN_CACHE
#define OWN_CACHE (((size_t)1 << 20) / sizeof(T))
#undef OWN_A
#undef OWN_B
#define OWN_A 8
#define OWN_B 4
/* An operand that meets at most this many panels of the other is read where it lies; more where its
 * rows lie well. */
#undef A_IN_PLACE
#undef B_IN_PLACE
#define A_IN_PLACE 8
#define B_IN_PLACE 12
/* Units in a run, at most: the part of C that `finish` finds in the L2 cache. */
#undef RUN
#define RUN ((size_t)16)
/* Multiply-adds that are worth sharing with a thread that is awake. */
#undef GRAIN
#define GRAIN ((size_t)1 << 18)

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

/* The first row of a panel of A, and the number of rows when panel is the number of panels. */
WORD size_t NAME(row_of)(const struct NAME(slab) *s, size_t panel)
{
    return tg_min(s->m, panel * s->rows + 2 * tg_min(panel, s->longer));
}

/* ---- Packing --------------------------------------------------------------------------------- */

/* Pack panels [begin, end) of A, those of them that are not read where they lie. */
static void NAME(pack_a)(const struct NAME(slab) *s, size_t begin, size_t end)
{
    for (size_t i = tg_max(begin, s->a_whole); i < end; i++) {
        size_t row = NAME(row_of)(s, i);
        NAME(pack)(s->a_packed + (i - s->a_whole) * s->a_size, MR, s->a_size, 1,
                   s->a + row * s->a_row, s->m - row, s->a_row, s->k, s->a_col);
    }
}

static void NAME(pack_b)(const struct NAME(slab) *s, size_t begin, size_t end)
{
    size_t j = tg_max(begin, s->b_whole);
    if (j < end) {
        NAME(pack)(s->b_packed + (j - s->b_whole) * s->b_size, NR, s->b_size, end - j,
                   s->b + j * NR * s->b_col, s->n - j * NR, s->b_col, s->k, s->b_row);
    }
}

/* Pack panels [begin, end) of those that everybody reads: A's, then B's. */
static void NAME(pack_shared)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    size_t of_a = s->own == TG_OWN_A ? 0 : s->a_panels - s->a_whole;
    if (begin < of_a) {
        NAME(pack_a)(s, s->a_whole + begin, s->a_whole + tg_min(of_a, end));
    }
    if (end > of_a) {
        NAME(pack_b)(s, s->b_whole + tg_max(begin, of_a) - of_a, s->b_whole + end - of_a);
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
    size_t row = NAME(row_of)(s, i);
    size_t rows = NAME(row_of)(s, i + 1) - row;
    size_t cols = tg_min(NR, s->n - j * NR);
    size_t computed = NAME(micro_rows)(rows);
    size_t vectors = cols <= LANES ? 1 : 2;
    int accumulate = s->accumulate || p > 0;
    int beside = computed != rows || cols != vectors * LANES;
    T aside[MR * NR];
    T *c = s->c + row * s->ldc + j * NR;
    T *to = beside ? aside : c;
    size_t ld = beside ? NR : s->ldc;
    int in_place = j < s->b_whole;
    const T *b = in_place ? s->b + p * s->b_row + j * NR
                          : s->b_packed + (j - s->b_whole) * s->b_size + p * NR;
    size_t b_row = in_place ? s->b_row : NR;
    if (i < s->a_whole) {
        const T *a = s->a + row * s->a_row + p * s->a_col;
        NAME(micro_in_place)(to, ld, a, s->a_row, s->a_col, b, b_row, depth, accumulate && !beside,
                             computed, vectors);
    } else {
        const T *a = s->a_packed + (i - s->a_whole) * s->a_size + p * MR;
        NAME(micro_packed)(to, ld, a, b, b_row, depth, accumulate && !beside, computed, vectors);
    }
    if (beside) {
        NAME(merge)(c, s->ldc, aside, rows, cols, accumulate);
    }
}

/* Panels [i0, i1) of A by columns [j0, j1), which are few enough for the caches. */
static void NAME(run)(const struct NAME(slab) *s, size_t i0, size_t i1, size_t j0, size_t j1)
{
    for (size_t p = 0; p < s->k; p += KC) {
        size_t depth = tg_min(KC, s->k - p);
        for (size_t i = i0; i < i1; i++) {
            for (size_t j = j0; j < j1; j += NR) {
                NAME(tile)(s, i, j / NR, p, depth);
            }
        }
    }
    if (s->finish) {
        size_t row = NAME(row_of)(s, i0);
        s->finish(s->c + row * s->ldc + j0, NAME(row_of)(s, i1) - row, j1 - j0, s->ldc,
                  s->first + j0, s->context);
    }
}

/* The same for any number of panels and columns. */
static void NAME(runs)(const struct NAME(slab) *s, size_t i0, size_t i1, size_t j0, size_t j1)
{
    for (size_t j = j0; j < j1; j += s->columns) {
        for (size_t i = i0; i < i1; i += RUN) {
            NAME(run)(s, i, tg_min(i1, i + RUN), j, tg_min(j1, j + s->columns));
        }
    }
}

/* Units [begin, end), counted down the columns of units. */
static void NAME(multiply_units)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    while (begin < end) {
        size_t i = begin % s->a_panels;
        size_t j = begin / s->a_panels * s->columns;
        size_t count = tg_min(s->a_panels - i, end - begin);
        NAME(runs)(s, i, i + count, j, tg_min(s->n, j + s->columns));
        begin += count;
    }
}

/* Panels [begin, end) of A, packed first, by all of B. */
static void NAME(multiply_own_a)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    NAME(pack_a)(s, begin, end);
    NAME(runs)(s, begin, end, 0, s->n);
}

/* All of A by panels [begin, end) of B, packed first. */
static void NAME(multiply_own_b)(void *context, size_t begin, size_t end)
{
    const struct NAME(slab) *s = context;
    NAME(pack_b)(s, begin, end);
    NAME(runs)(s, 0, s->a_panels, begin * NR, tg_min(s->n, end * NR));
}

/* Whether rows so far apart can be in the L1 cache together. Those that lie a multiple of 4 KiB
 * apart drive each other out of it, as do many of those that lie a multiple of 2 KiB apart. */
static int NAME(is_spread)(size_t row, size_t bytes)
{
    return row * sizeof(T) % bytes != 0;
}

/* Decide which panels to pack, and who does. What one core packs and another reads travels between
 * them, which can take longer than to compute with it. So where only one operand is packed, and
 * has panels enough to share, who multiplies a panel packs it: the other operand is read by
 * everybody. */
static void NAME(plan_packing)(struct NAME(slab) *s)
{
    int a_easy = s->a_col == 1 && NAME(is_spread)(s->a_row, 2048);
    int b_easy = s->a_panels <= 2 * B_IN_PLACE && NAME(is_spread)(s->b_row, 4096);
    int b_lies = s->b_col == 1 && (s->a_panels <= B_IN_PLACE || b_easy);
    int owns_a = b_lies && s->a_panels >= OWN_A && s->n * s->k <= OWN_CACHE;
    int a_lies = s->b_panels <= A_IN_PLACE || (!owns_a && a_easy);
    int owns_b = !b_lies && a_lies && s->b_panels >= OWN_B && s->m * s->k <= OWN_CACHE;
    s->own = owns_a && !a_lies ? TG_OWN_A : owns_b ? TG_OWN_B : TG_OWN_NONE;
    s->a_whole = a_lies ? s->a_panels - s->m % 2 : 0;
    s->b_whole = !b_lies ? 0 : s->n % LANES == 0 ? s->b_panels : s->n / NR;
}

/* Cut a slab into panels and units. The panels of A are of equal height, or nearly: a lower one
 * costs more an element. Fewer columns to a unit when there would be too few units to share, but
 * at least two panels of B: A's are used again. */
static void NAME(plan)(struct NAME(slab) *s)
{
    size_t pairs = NAME(ratio_up)(s->m, 2);
    s->a_panels = NAME(ratio_up)(s->m, MR);
    s->b_panels = NAME(ratio_up)(s->n, NR);
    s->rows = pairs / s->a_panels * 2;
    s->longer = pairs % s->a_panels;
    s->a_size = NAME(panel_size)(MR, s->k);
    s->b_size = NAME(panel_size)(NR, s->k);
    s->columns = NC;
    NAME(plan_packing)(s);
    while (s->own == TG_OWN_NONE && s->columns > 2 * NR &&
           s->a_panels * NAME(ratio_up)(s->n, s->columns) < 16) {
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
    size_t shared = (s->own == TG_OWN_A ? 0 : a_packed) + (s->own == TG_OWN_B ? 0 : b_packed);
    tg_parallel_for(shared, NAME(ratio_up)(TG_GRAIN, NR * s->k), NAME(pack_shared), s);
    size_t units = s->a_panels * NAME(ratio_up)(s->n, s->columns);
    size_t work = s->m * s->n * s->k;
    if (s->own == TG_OWN_A) {
        tg_parallel_for(s->a_panels, NAME(ratio_up)(GRAIN, work / s->a_panels),
                        NAME(multiply_own_a), s);
    } else if (s->own == TG_OWN_B) {
        tg_parallel_for(s->b_panels, NAME(ratio_up)(GRAIN, work / s->b_panels),
                        NAME(multiply_own_b), s);
    } else {
        tg_parallel_for(units, NAME(ratio_up)(GRAIN, work / units), NAME(multiply_units), s);
    }
    return TG_OK;
}

/* Columns [begin, end) of a product, by slabs. If need be k is cut, as long as KC of it leave room
 * for A and B whole: every number is packed once then, and C passes by once more for each cut. Else
 * m and n are cut. */
static int NAME(multiply_columns)(const struct NAME(product) *g, size_t begin, size_t end)
{
    int trans_a = g->flags & TG_TRANS_A;
    int trans_b = g->flags & TG_TRANS_B;
    size_t n = end - begin;
    size_t whole = 2 * SLAB / (g->m + n); /* how much k there is room for */
    int cuts_k = whole >= tg_min(KC, g->k);
    size_t most_k = cuts_k ? tg_max(whole / KC, 1) * KC : 4 * KC;
    size_t step_k = NAME(piece)(g->k, most_k, KC);
    size_t room = cuts_k ? g->m + n : SLAB / tg_min(step_k, g->k);
    size_t step_m = NAME(piece)(g->m, tg_max(room, MR), MR);
    size_t step_n = NAME(piece)(n, tg_max(room, NR), NR);
    struct NAME(slab) s = {.ldc = g->ldc, .context = g->context};
    s.a_row = trans_a ? 1 : g->lda;
    s.a_col = trans_a ? g->lda : 1;
    s.b_row = trans_b ? 1 : g->ldb;
    s.b_col = trans_b ? g->ldb : 1;
    for (size_t j = begin; j < end; j += step_n) {
        for (size_t i = 0; i < g->m; i += step_m) {
            for (size_t p = 0; p < g->k; p += step_k) {
                s.m = tg_min(step_m, g->m - i);
                s.n = tg_min(step_n, end - j);
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

/* How many columns to take before those where the vectors of B begin. Vectors that straddle two
 * cache lines cost little while B stays in the L2 cache, and up to half of the speed where a large B
 * is read in place. */
static size_t NAME(columns_before_lines)(const struct NAME(product) *g)
{
    size_t over = (uintptr_t)g->b % sizeof(V) / sizeof(T);
    int is_large = g->n * g->k > OWN_CACHE;
    int in_place = !(g->flags & TG_TRANS_B) && g->m <= B_IN_PLACE * MR;
    int alike = g->ldb % LANES == 0; /* all rows lie as the first does */
    return over && is_large && in_place && alike ? tg_min(g->n, LANES - over) : 0;
}

static int NAME(multiply_slabs)(const struct NAME(product) *g)
{
    size_t head = NAME(columns_before_lines)(g);
    int status = head ? NAME(multiply_columns)(g, 0, head) : TG_OK;
    return status == TG_OK ? NAME(multiply_columns)(g, head, g->n) : status;
}
