/* norm-inl.h: numbers shifted to mean 0 and scaled to variance 1, group by group, and the gradient.
 *
 * x is (outer, groups, inner), and a group is normalised over outer and inner: batch_norm has a
 * group for each channel of (N, C, H W); layer_norm one for each row of (rows, cols), outer 1. The
 * numbers of a group are `outer` runs of `inner` numbers. Weight and bias have one number for each
 * group or, by column, for each number of a run.
 *
 *     y = n w + b        n = (x - mean) r        r = 1 / sqrt(var + eps)
 *     dx = r (h - mean of h - n times the mean of h n)        h = g w
 *     dw = the sum of g n, db = the sum of g, over what shares a weight
 *
 * The variance is the mean of squared distances from the mean, never a difference of large squares.
 * A group is read once for each of its sums and once more to write: from the cache, where it fits,
 * and the kernel is bound by memory. Groups are shared among the threads, each summed by one. */

struct NAME(norm) {
    T *y, *dx, *dw, *db;
    T *mean, *var; /* the forward's results, the gradient's input */
    const T *g, *x, *w, *b;
    size_t outer, groups, inner;
    int by_column;
    T eps;
    int status;
};

/* Where run i of a group begins. */
WORD size_t NAME(run_of)(const struct NAME(norm) *s, size_t group, size_t i)
{
    return (i * s->groups + group) * s->inner;
}

WORD T NAME(inverse_root)(const struct NAME(norm) *s, size_t group)
{
    return 1 / (T)sqrt((double)(s->var[group] + s->eps));
}

/* The sum of the squared distances of n numbers from `centre`. */
static T NAME(squares_run)(const T *x, size_t n, T centre)
{
    V sum[4];
    V middle = vset(centre);
    T rest = 0;
    size_t i = 0;
    for (size_t v = 0; v < 4; v++) {
        sum[v] = vzero();
    }
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t v = 0; v < 4; v++) {
            V distance = vload(x + i + v * LANES) - middle;
            sum[v] = vfma(distance, distance, sum[v]);
        }
    }
    for (; i + LANES <= n; i += LANES) {
        V distance = vload(x + i) - middle;
        sum[0] = vfma(distance, distance, sum[0]);
    }
    for (; i < n; i++) {
        rest += (x[i] - centre) * (x[i] - centre);
    }
    return vhsum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

/* Mean and variance of a group. The sums of its runs are added by halves. */
static void NAME(moments)(const struct NAME(norm) *s, size_t group, T *sums)
{
    T count = (T)(s->outer * s->inner);
    for (size_t i = 0; i < s->outer; i++) {
        sums[i] = NAME(sum_run)(s->x + NAME(run_of)(s, group, i), s->inner);
    }
    T mean = NAME(sum_halves)(sums, s->outer) / count;
    for (size_t i = 0; i < s->outer; i++) {
        sums[i] = NAME(squares_run)(s->x + NAME(run_of)(s, group, i), s->inner, mean);
    }
    s->mean[group] = mean;
    s->var[group] = NAME(sum_halves)(sums, s->outer) / count;
}

/* The weights of a vector of numbers of a group, the first in column i. */
WORD V NAME(weights_at)(const struct NAME(norm) *s, const T *w, size_t group, size_t i)
{
    return s->by_column ? NAME(load_upto)(w + i, s->inner - i) : vset(w[group]);
}

static void NAME(normalize_group)(const struct NAME(norm) *s, size_t group)
{
    V mean = vset(s->mean[group]);
    V scale = vset(NAME(inverse_root)(s, group));
    for (size_t run = 0; run < s->outer; run++) {
        const T *x = s->x + NAME(run_of)(s, group, run);
        T *y = s->y + NAME(run_of)(s, group, run);
        for (size_t i = 0; i < s->inner; i += LANES) {
            V n = (NAME(load_upto)(x + i, s->inner - i) - mean) * scale;
            if (s->w) {
                n = n * NAME(weights_at)(s, s->w, group, i);
            }
            if (s->b) {
                n = n + NAME(weights_at)(s, s->b, group, i);
            }
            NAME(store_upto)(y + i, n, s->inner - i);
        }
    }
}

static void NAME(normalize_task)(void *context, size_t begin, size_t end)
{
    struct NAME(norm) *s = context;
    T *sums = tg_scratch_of(TG_OF_TASK, s->outer * sizeof(T));
    tg_note(&s->status, sums ? TG_OK : TG_ENOMEM);
    for (size_t group = begin; sums && group < end; group++) {
        NAME(moments)(s, group, sums);
        NAME(normalize_group)(s, group);
    }
}

static int NAME(normalize)(T *y, T *mean, T *var, const T *x, const T *w, const T *b, size_t outer,
                           size_t groups, size_t inner, int by_column, double eps)
{
    struct NAME(norm) s = {.y = y, .mean = mean, .var = var, .x = x, .w = w, .b = b};
    s.outer = outer;
    s.groups = groups;
    s.inner = inner;
    s.by_column = by_column;
    s.eps = (T)eps;
    tg_parallel_for(groups, NAME(grain_of)(outer * inner), NAME(normalize_task), &s);
    return s.status;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* sums[0] = the sum of h, sums[1] = that of h n, over run `run` of a group; with a weight for each
 * group, h is g here: the weight follows. */
static void NAME(gradient_sums)(const struct NAME(norm) *s, size_t group, size_t run, T *sums)
{
    size_t at = NAME(run_of)(s, group, run);
    V mean = vset(s->mean[group]);
    V scale = vset(NAME(inverse_root)(s, group));
    V of_h = vzero();
    V of_hn = vzero();
    for (size_t i = 0; i < s->inner; i += LANES) {
        size_t n = s->inner - i;
        V h = NAME(load_upto)(s->g + at + i, n); /* 0 behind the last */
        if (s->w && s->by_column) {
            h = h * NAME(load_upto)(s->w + i, n);
        }
        of_h = of_h + h;
        of_hn = vfma(h, (NAME(load_upto)(s->x + at + i, n) - mean) * scale, of_hn);
    }
    sums[0] = vhsum(of_h);
    sums[1] = vhsum(of_hn);
}

/* dx of a group, and dw and db where they belong to the group. room: 2 outer numbers. */
static void NAME(gradient_group)(const struct NAME(norm) *s, size_t group, T *room)
{
    T count = (T)(s->outer * s->inner);
    for (size_t run = 0; run < s->outer; run++) {
        T sums[2];
        NAME(gradient_sums)(s, group, run, sums);
        room[run] = sums[0];
        room[s->outer + run] = sums[1];
    }
    T of_h = NAME(sum_halves)(room, s->outer);
    T of_hn = NAME(sum_halves)(room + s->outer, s->outer);
    if (s->db && !s->by_column) {
        s->db[group] = of_h;
    }
    if (s->dw && !s->by_column) {
        s->dw[group] = of_hn;
    }
    T inverse = NAME(inverse_root)(s, group);
    V mean = vset(s->mean[group]);
    V scale = vset(inverse);
    V factor = vset(s->w && !s->by_column ? inverse * s->w[group] : inverse);
    V shift = vset(of_h / count);
    V slope = vset(of_hn / count);
    for (size_t run = 0; s->dx && run < s->outer; run++) {
        size_t at = NAME(run_of)(s, group, run);
        for (size_t i = 0; i < s->inner; i += LANES) {
            size_t n = s->inner - i;
            V normal = (NAME(load_upto)(s->x + at + i, n) - mean) * scale;
            V h = NAME(load_upto)(s->g + at + i, n);
            if (s->w && s->by_column) {
                h = h * NAME(load_upto)(s->w + i, n);
            }
            NAME(store_upto)(s->dx + at + i, factor * (h - shift - normal * slope), n);
        }
    }
}

static void NAME(normalize_grad_task)(void *context, size_t begin, size_t end)
{
    struct NAME(norm) *s = context;
    T *room = tg_scratch_of(TG_OF_TASK, 2 * s->outer * sizeof(T));
    tg_note(&s->status, room ? TG_OK : TG_ENOMEM);
    for (size_t group = begin; room && group < end; group++) {
        NAME(gradient_group)(s, group, room);
    }
}

/* dw and db of columns [begin, end), summed over the groups and then their runs, a vector of
 * columns at a time. */
static void NAME(normalize_columns_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(norm) *s = context;
    for (size_t i = begin; i < end; i += LANES) {
        size_t n = tg_min(LANES, end - i);
        V dw = vzero();
        V db = vzero();
        for (size_t group = 0; group < s->groups; group++) {
            V mean = vset(s->mean[group]);
            V scale = vset(NAME(inverse_root)(s, group));
            for (size_t run = 0; run < s->outer; run++) {
                size_t at = NAME(run_of)(s, group, run) + i;
                V g = NAME(load_upto)(s->g + at, n);
                dw = vfma(g, (NAME(load_upto)(s->x + at, n) - mean) * scale, dw);
                db = db + g;
            }
        }
        if (s->dw) {
            NAME(store_upto)(s->dw + i, dw, n);
        }
        if (s->db) {
            NAME(store_upto)(s->db + i, db, n);
        }
    }
}

static int NAME(normalize_grad)(T *dx, T *dw, T *db, const T *g, const T *x, T *mean, T *var,
                                const T *w, size_t outer, size_t groups, size_t inner,
                                int by_column, double eps)
{
    struct NAME(norm) s = {.dx = dx, .dw = dw, .db = db, .g = g, .x = x, .w = w};
    s.mean = mean;
    s.var = var;
    s.outer = outer;
    s.groups = groups;
    s.inner = inner;
    s.by_column = by_column;
    s.eps = (T)eps;
    if (dx || !by_column) {
        tg_parallel_for(groups, NAME(grain_of)(outer * inner), NAME(normalize_grad_task), &s);
    }
    if (by_column && (dw || db)) {
        size_t grain = NAME(ratio_up)(TG_GRAIN, tg_max(1, groups * outer * LANES)) * LANES;
        tg_parallel_for(inner, grain, NAME(normalize_columns_task), &s);
    }
    return s.status;
}
