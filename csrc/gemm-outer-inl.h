/* Products with a short k, a few outer products: each row of C is a combination of the k rows of B,
 * which stay in the L1 cache. The time is that of writing C, so its vectors are whole cache lines.
 *
 * The weight gradient of a dense layer is one, for a batch of one. */

/* The longest k that is short. */
#undef SHORT
#define SHORT 4

/* A row of C; rows is k, a constant where this is called. */
WORD void NAME(outer_row)(T *c, const T *x, size_t x_col, const T *b, size_t ldb, size_t n,
                          int accumulate, const size_t rows)
{
    V scale[SHORT];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        scale[r] = vset(x[r * x_col]);
    }
    size_t to_line = (64 - (uintptr_t)c % 64) % 64 / sizeof(T) % LANES;
    for (size_t j = 0; j < n;) {
        size_t count = tg_min(n - j, j == 0 && to_line > 0 ? to_line : LANES);
        V sum = vzero();
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            sum = vfma(scale[r], NAME(load_upto)(b + r * ldb + j, count), sum);
        }
        if (accumulate) {
            sum = NAME(load_upto)(c + j, count) + sum;
        }
        NAME(store_upto)(c + j, sum, count);
        j += count;
    }
}

/* Rows [begin, end) of C. */
static void NAME(outer_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(product) *g = context;
    size_t x_row = g->flags & TG_TRANS_A ? 1 : g->lda;
    size_t x_col = g->flags & TG_TRANS_A ? g->lda : 1;
    int accumulate = g->flags & TG_ACCUMULATE;
    for (size_t i = begin; i < end; i++) {
        T *c = g->c + i * g->ldc;
        const T *x = g->a + i * x_row;
        switch (g->k) {
        case 1:
            NAME(outer_row)(c, x, x_col, g->b, g->ldb, g->n, accumulate, 1);
            break;
        case 2:
            NAME(outer_row)(c, x, x_col, g->b, g->ldb, g->n, accumulate, 2);
            break;
        case 3:
            NAME(outer_row)(c, x, x_col, g->b, g->ldb, g->n, accumulate, 3);
            break;
        default:
            NAME(outer_row)(c, x, x_col, g->b, g->ldb, g->n, accumulate, 4);
        }
    }
    if (g->finish) {
        g->finish(g->c + begin * g->ldc, end - begin, g->n, g->ldc, 0, g->context);
    }
}

/* Whether C is a few outer products: a short k, and B's rows lie across it. */
static int NAME(is_outer)(const struct NAME(product) *g)
{
    int across = !(g->flags & TG_TRANS_B) || (g->k == 1 && g->ldb == 1);
    return g->k <= SHORT && across && g->n >= 4 * LANES;
}

static int NAME(multiply_outer)(const struct NAME(product) *g)
{
    struct NAME(product) product = *g;
    tg_parallel_for(g->m, NAME(ratio_up)(2 * TG_GRAIN, g->n), NAME(outer_task), &product);
    return TG_OK;
}
