/* softmax-inl.h: softmax and its relatives along the rows of x (rows, cols).
 *
 * A row is read three times (its maximum; exp and sum; scaling) but stays in cache, so the time is
 * that of one exponential an element. Subtracting the maximum first keeps every exponential in
 * [0, 1]: no logit is too large. A row with a NaN gives NaN; -inf is a class of probability 0.
 *
 * Short rows have a file of their own, softmax-short-inl.h. */

/* ---- One row --------------------------------------------------------------------------------- */

/* The maximum of a row, which need not be NaN when a NaN is there: the sum will be. */
WORD T NAME(row_max)(const T *x, size_t n)
{
    V best = vset((T)-INFINITY);
    V other = best;
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        best = vmax(vload(x + i), best);
        other = vmax(vload(x + i + LANES), other);
    }
    for (; i + LANES <= n; i += LANES) {
        best = vmax(vload(x + i), best);
    }
    T greatest = vhmax(vmax(best, other));
    for (; i < n; i++) {
        greatest = x[i] > greatest ? x[i] : greatest;
    }
    return greatest;
}

/* y = exp(x - shift), unless y is NULL; returns the sum. Terms past the end are exp(-inf) = 0. */
WORD T NAME(row_exp)(T *y, const T *x, T shift, size_t n)
{
    V sum = vzero();
    V other = vzero();
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        V first = vexp(vload(x + i) - vset(shift));
        V second = vexp(vload(x + i + LANES) - vset(shift));
        sum = sum + first;
        other = other + second;
        if (y != NULL) {
            vstore(y + i, first);
            vstore(y + i + LANES, second);
        }
    }
    for (; i < n; i += LANES) {
        T lane[LANES];
        size_t left = tg_min(LANES, n - i);
        vstore(lane, vset((T)-INFINITY));
        vstore_n(lane, vload_n(x + i, left) - vset(shift), left);
        V e = vexp(vload(lane));
        sum = sum + e;
        if (y != NULL) {
            vstore_n(y + i, e, left);
        }
    }
    return vhsum(sum + other);
}

/* y = x / divisor. */
WORD void NAME(row_divide)(T *y, const T *x, T divisor, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        size_t left = tg_min(LANES, n - i);
        vstore_n(y + i, vload_n(x + i, left) / vset(divisor), left);
    }
}

/* y = (x - shift) - offset: in this order, so that large logits lose nothing. */
WORD void NAME(row_shift)(T *y, const T *x, T shift, T offset, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        size_t left = tg_min(LANES, n - i);
        vstore_n(y + i, (vload_n(x + i, left) - vset(shift)) - vset(offset), left);
    }
}

/* The sum of a. */
WORD T NAME(row_sum)(const T *a, size_t n)
{
    V sum = vzero();
    for (size_t i = 0; i < n; i += LANES) {
        sum = sum + vload_n(a + i, tg_min(LANES, n - i));
    }
    return vhsum(sum);
}

/* The sum of a * b. */
WORD T NAME(row_dot)(const T *a, const T *b, size_t n)
{
    V sum = vzero();
    for (size_t i = 0; i < n; i += LANES) {
        size_t left = tg_min(LANES, n - i);
        sum = vfma(vload_n(a + i, left), vload_n(b + i, left), sum);
    }
    return vhsum(sum);
}

WORD T NAME(log_one)(T x)
{
    T lane[LANES];
    vstore(lane, vlog(vset(x)));
    return lane[0];
}

/* ---- The kernels ----------------------------------------------------------------------------- */

struct NAME(rows) {
    T *y;
    T *p;
    const T *g;
    const T *x;
    const int64_t *target;
    T smoothing;
    size_t cols;
};

/* Rows in parallel. */
static int NAME(run_rows)(const struct NAME(rows) *job, size_t rows, tg_task task)
{
    struct NAME(rows) shared = *job;
    size_t grain = tg_max(1, TG_GRAIN / 4 / tg_max(1, job->cols));
    tg_parallel_for(rows, grain, task, &shared);
    return TG_OK;
}

#include "softmax-short-inl.h"

/* ---- Tasks ----------------------------------------------------------------------------------- */

static void NAME(softmax_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    for (size_t r = begin; n <= SHORT && r < end; r += LANES) {
        NAME(softmax_short)(job->y + r * n, job->x + r * n, tg_min(LANES, end - r), n);
    }
    for (size_t r = begin; n > SHORT && r < end; r++) {
        const T *x = job->x + r * n;
        T *y = job->y + r * n;
        T sum = NAME(row_exp)(y, x, NAME(row_max)(x, n), n);
        NAME(row_divide)(y, y, sum, n);
    }
}

static int NAME(softmax)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(rows) job = {.y = y, .x = x, .cols = cols};
    return NAME(run_rows)(&job, rows, NAME(softmax_task));
}

/* dx = y (g - <g, y>). */
static void NAME(softmax_grad_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    for (size_t r = begin; r < end; r++) {
        const T *g = job->g + r * n;
        const T *y = job->x + r * n;
        T *dx = job->y + r * n;
        V mean = vset(NAME(row_dot)(g, y, n));
        for (size_t i = 0; i < n; i += LANES) {
            size_t left = tg_min(LANES, n - i);
            V slope = vload_n(y + i, left) * (vload_n(g + i, left) - mean);
            vstore_n(dx + i, slope, left);
        }
    }
}

static int NAME(softmax_grad)(T *dx, const T *g, const T *y, size_t rows, size_t cols)
{
    struct NAME(rows) job = {.y = dx, .g = g, .x = y, .cols = cols};
    return NAME(run_rows)(&job, rows, NAME(softmax_grad_task));
}

static void NAME(log_softmax_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    for (size_t r = begin; n <= SHORT && r < end; r += LANES) {
        NAME(log_softmax_short)(job->y + r * n, job->x + r * n, tg_min(LANES, end - r), n);
    }
    for (size_t r = begin; n > SHORT && r < end; r++) {
        const T *x = job->x + r * n;
        T greatest = NAME(row_max)(x, n);
        T sum = NAME(row_exp)(NULL, x, greatest, n);
        NAME(row_shift)(job->y + r * n, x, greatest, NAME(log_one)(sum), n);
    }
}

static int NAME(log_softmax)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(rows) job = {.y = y, .x = x, .cols = cols};
    return NAME(run_rows)(&job, rows, NAME(log_softmax_task));
}

/* dx = g - exp(y) sum(g). */
static void NAME(log_softmax_grad_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    for (size_t r = begin; r < end; r++) {
        const T *g = job->g + r * n;
        const T *y = job->x + r * n;
        T *dx = job->y + r * n;
        V sum = vset(NAME(row_sum)(g, n));
        for (size_t i = 0; i < n; i += LANES) {
            size_t left = tg_min(LANES, n - i);
            V slope = vload_n(g + i, left) - vexp(vload_n(y + i, left)) * sum;
            vstore_n(dx + i, slope, left);
        }
    }
}

static int NAME(log_softmax_grad)(T *dx, const T *g, const T *y, size_t rows, size_t cols)
{
    struct NAME(rows) job = {.y = dx, .g = g, .x = y, .cols = cols};
    return NAME(run_rows)(&job, rows, NAME(log_softmax_grad_task));
}

/* log sum exp(x). An infinite maximum is not subtracted: the sum is then 0 or inf, and its
 * logarithm -inf or inf, as it must be. */
static void NAME(logsumexp_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    for (size_t r = begin; n <= SHORT && r < end; r += LANES) {
        NAME(logsumexp_short)(job->y + r, job->x + r * n, tg_min(LANES, end - r), n);
    }
    for (size_t r = begin; n > SHORT && r < end; r++) {
        const T *x = job->x + r * job->cols;
        T greatest = NAME(row_max)(x, job->cols);
        greatest = isfinite(greatest) ? greatest : 0;
        job->y[r] = greatest + NAME(log_one)(NAME(row_exp)(NULL, x, greatest, job->cols));
    }
}

static int NAME(logsumexp)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(rows) job = {.y = y, .x = x, .cols = cols};
    return NAME(run_rows)(&job, rows, NAME(logsumexp_task));
}

/* With s the smoothing, z = x - max and L = log sum exp(z):
 * loss = (1 - s) (L - z[target]) + s (L - mean(z)). */
static void NAME(cross_entropy_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    T s = job->smoothing;
    for (size_t r = begin; n <= SHORT && r < end; r += LANES) {
        NAME(cross_entropy_short)(job, r, tg_min(LANES, end - r));
    }
    for (size_t r = begin; n > SHORT && r < end; r++) {
        const T *x = job->x + r * n;
        T *p = job->p + r * n;
        T greatest = NAME(row_max)(x, n);
        T wanted = x[job->target[r]] - greatest;
        T mean = 0;
        if (s != 0) {
            NAME(row_shift)(p, x, greatest, 0, n);
            mean = NAME(row_sum)(p, n) / (T)n;
        }
        T sum = NAME(row_exp)(p, x, greatest, n);
        T log_sum = NAME(log_one)(sum);
        NAME(row_divide)(p, p, sum, n);
        job->y[r] = s == 0 ? log_sum - wanted : (1 - s) * (log_sum - wanted) + s * (log_sum - mean);
    }
}

static int NAME(cross_entropy)(T *loss, T *p, const T *logits, const int64_t *target, T smoothing,
                               size_t rows, size_t cols)
{
    struct NAME(rows) job = {
        .y = loss, .p = p, .x = logits, .target = target, .smoothing = smoothing, .cols = cols,
    };
    for (size_t r = 0; r < rows; r++) {
        if (target[r] < 0 || (uint64_t)target[r] >= cols) {
            return TG_EINDEX;
        }
    }
    return NAME(run_rows)(&job, rows, NAME(cross_entropy_task));
}

/* dx = g[row] (p - s / cols - (1 - s) one_hot(target)). */
static void NAME(cross_entropy_grad_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(rows) *job = context;
    size_t n = job->cols;
    T uniform = job->smoothing / (T)n;
    for (size_t r = begin; r < end; r++) {
        const T *p = job->x + r * n;
        T *dx = job->y + r * n;
        size_t target = (size_t)job->target[r];
        T g = job->g[r];
        T at_target = p[target] - uniform - (1 - job->smoothing);
        for (size_t i = 0; i < n; i += LANES) {
            size_t left = tg_min(LANES, n - i);
            vstore_n(dx + i, vset(g) * (vload_n(p + i, left) - vset(uniform)), left);
        }
        dx[target] = g * at_target;
    }
}

static int NAME(cross_entropy_grad)(T *dx, const T *g, const T *p, const int64_t *target,
                                    T smoothing, size_t rows, size_t cols)
{
    struct NAME(rows) job = {
        .y = dx, .g = g, .x = p, .target = target, .smoothing = smoothing, .cols = cols,
    };
    for (size_t r = 0; r < rows; r++) {
        if (target[r] < 0 || (uint64_t)target[r] >= cols) {
            return TG_EINDEX;
        }
    }
    return NAME(run_rows)(&job, rows, NAME(cross_entropy_grad_task));
}
