/* reduce-inl.h: sum and max over the middle axis of x (outer, len, inner).
 *
 * Both run at the speed of memory. Two layouts, two loops: inner == 1, where a row is contiguous
 * and lanes are added up in the end; and inner > 1, where lanes are different results. A row or a
 * column is cut in a way that depends on the sizes alone, and its parts are added by halves: the
 * rounding error grows with the logarithm of len, and threads cannot change a bit. */

#define REDUCE_CHUNK ((size_t)8192)  /* elements of a contiguous row added in one go */
#define REDUCE_WIDTH ((size_t)512)   /* columns whose running sums fit the first-level cache */
#define REDUCE_HEIGHT ((size_t)64)   /* rows added in one go */

struct NAME(reduction) {
    T *y;
    const T *x;
    size_t outer;
    size_t len;
    size_t inner;
    size_t parts; /* of a contiguous row, or of the columns */
};

/* ---- Sum ------------------------------------------------------------------------------------- */

/* The sum of n contiguous elements: eight independent sums hide the latency of the addition. */
static T NAME(sum_run)(const T *x, size_t n)
{
    V sum[8];
    for (size_t j = 0; j < 8; j++) {
        sum[j] = vzero();
    }
    size_t i = 0;
    for (; i + 8 * LANES <= n; i += 8 * LANES) {
        for (size_t j = 0; j < 8; j++) {
            sum[j] = sum[j] + vload(x + i + j * LANES);
        }
    }
    for (size_t j = 0; i < n; i += LANES, j++) {
        sum[j] = sum[j] + vload_n(x + i, tg_min(LANES, n - i));
    }
    V low = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    V high = (sum[4] + sum[5]) + (sum[6] + sum[7]);
    return vhsum(low + high);
}

/* The sum of n partial sums, by halves. */
static T NAME(sum_halves)(const T *x, size_t n)
{
    if (n <= 8) {
        T sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += x[i];
        }
        return sum;
    }
    return NAME(sum_halves)(x, n / 2) + NAME(sum_halves)(x + n / 2, n - n / 2);
}

/* Chunks [begin, end) of all rows: y[row * parts + part]. */
static void NAME(sum_rows_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(reduction) *job = context;
    for (size_t i = begin; i < end; i++) {
        size_t start = i % job->parts * REDUCE_CHUNK;
        size_t n = tg_min(REDUCE_CHUNK, job->len - start);
        job->y[i] = NAME(sum_run)(job->x + i / job->parts * job->len + start, n);
    }
}

/* sum (width) = the sums of the columns of x (len, width), rows `stride` elements apart: four rows
 * at a time into sums that stay in cache, long columns by halves. */
static void NAME(sum_columns)(T *sum, const T *x, size_t len, size_t stride, size_t width)
{
    if (len > REDUCE_HEIGHT) {
        T other[REDUCE_WIDTH];
        size_t half = len / 2 / 4 * 4;
        NAME(sum_columns)(sum, x, half, stride, width);
        NAME(sum_columns)(other, x + half * stride, len - half, stride, width);
        for (size_t j = 0; j < width; j += LANES) {
            size_t n = tg_min(LANES, width - j);
            vstore_n(sum + j, vload_n(sum + j, n) + vload_n(other + j, n), n);
        }
        return;
    }
    memset(sum, 0, width * sizeof(T));
    size_t i = 0;
    for (; i + 4 <= len; i += 4) {
        const T *row = x + i * stride;
        size_t j = 0;
        for (; j + LANES <= width; j += LANES) {
            V low = vload(row + j) + vload(row + stride + j);
            V high = vload(row + 2 * stride + j) + vload(row + 3 * stride + j);
            vstore(sum + j, vload(sum + j) + (low + high));
        }
        for (; j < width; j++) {
            T low = row[j] + row[stride + j];
            T high = row[2 * stride + j] + row[3 * stride + j];
            sum[j] += low + high;
        }
    }
    for (; i < len; i++) {
        for (size_t j = 0; j < width; j++) {
            sum[j] += x[i * stride + j];
        }
    }
}

/* Blocks [begin, end) of columns, counted over outer x parts. */
static void NAME(sum_columns_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(reduction) *job = context;
    T sum[REDUCE_WIDTH];
    for (size_t i = begin; i < end; i++) {
        size_t o = i / job->parts;
        size_t column = i % job->parts * REDUCE_WIDTH;
        size_t width = tg_min(REDUCE_WIDTH, job->inner - column);
        const T *x = job->x + o * job->len * job->inner + column;
        NAME(sum_columns)(sum, x, job->len, job->inner, width);
        memcpy(job->y + o * job->inner + column, sum, width * sizeof(T));
    }
}

/* How many items of `size` elements make a grain. */
WORD size_t NAME(grain_of)(size_t size)
{
    return tg_max(1, TG_GRAIN / tg_max(1, size));
}

static int NAME(sum)(T *y, const T *x, size_t outer, size_t len, size_t inner)
{
    struct NAME(reduction) job = {y, x, outer, len, inner, 1};
    if (len == 0) {
        memset(y, 0, outer * inner * sizeof(T));
        return TG_OK;
    }
    if (inner != 1) {
        job.parts = (inner + REDUCE_WIDTH - 1) / REDUCE_WIDTH;
        size_t grain = NAME(grain_of)(len * tg_min(inner, REDUCE_WIDTH));
        tg_parallel_for(outer * job.parts, grain, NAME(sum_columns_task), &job);
        return TG_OK;
    }
    job.parts = (len + REDUCE_CHUNK - 1) / REDUCE_CHUNK;
    if (job.parts > 1) {
        job.y = tg_scratch(outer * job.parts * sizeof(T));
        if (job.y == NULL) {
            return TG_ENOMEM;
        }
    }
    size_t grain = NAME(grain_of)(tg_min(len, REDUCE_CHUNK));
    tg_parallel_for(outer * job.parts, grain, NAME(sum_rows_task), &job);
    if (job.parts > 1) {
        for (size_t o = 0; o < outer; o++) {
            y[o] = NAME(sum_halves)(job.y + o * job.parts, job.parts);
        }
    }
    return TG_OK;
}

/* ---- Max ------------------------------------------------------------------------------------- */

/* The greater of the two; NaN when either is. */
WORD V NAME(greater)(V a, V b)
{
    return vselect(veq(a, a), vmax(a, b), a);
}

/* The greatest of n >= 1 contiguous elements. */
static T NAME(max_run)(const T *x, size_t n)
{
    V best[4];
    for (size_t j = 0; j < 4; j++) {
        best[j] = vset(x[0]);
    }
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t j = 0; j < 4; j++) {
            best[j] = NAME(greater)(best[j], vload(x + i + j * LANES));
        }
    }
    for (; i + LANES <= n; i += LANES) {
        best[0] = NAME(greater)(best[0], vload(x + i));
    }
    V low = NAME(greater)(best[0], best[1]);
    T greatest = vhmax(NAME(greater)(low, NAME(greater)(best[2], best[3])));
    for (; i < n; i++) {
        int keep = greatest >= x[i] || greatest != greatest;
        greatest = keep ? greatest : x[i];
    }
    return greatest;
}

static void NAME(max_rows_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(reduction) *job = context;
    for (size_t i = begin; i < end; i++) {
        size_t start = i % job->parts * REDUCE_CHUNK;
        size_t n = tg_min(REDUCE_CHUNK, job->len - start);
        job->y[i] = NAME(max_run)(job->x + i / job->parts * job->len + start, n);
    }
}

static void NAME(max_columns_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(reduction) *job = context;
    for (size_t i = begin; i < end; i++) {
        size_t o = i / job->parts;
        size_t column = i % job->parts * REDUCE_WIDTH;
        size_t width = tg_min(REDUCE_WIDTH, job->inner - column);
        const T *x = job->x + o * job->len * job->inner + column;
        T *y = job->y + o * job->inner + column;
        memcpy(y, x, width * sizeof(T));
        for (size_t r = 1; r < job->len; r++) {
            const T *row = x + r * job->inner;
            for (size_t j = 0; j < width; j += LANES) {
                size_t n = tg_min(LANES, width - j);
                vstore_n(y + j, NAME(greater)(vload_n(y + j, n), vload_n(row + j, n)), n);
            }
        }
    }
}

static int NAME(max)(T *y, const T *x, size_t outer, size_t len, size_t inner)
{
    struct NAME(reduction) job = {y, x, outer, len, inner, 1};
    if (inner != 1) {
        job.parts = (inner + REDUCE_WIDTH - 1) / REDUCE_WIDTH;
        size_t grain = NAME(grain_of)(len * tg_min(inner, REDUCE_WIDTH));
        tg_parallel_for(outer * job.parts, grain, NAME(max_columns_task), &job);
        return TG_OK;
    }
    job.parts = (len + REDUCE_CHUNK - 1) / REDUCE_CHUNK;
    if (job.parts > 1) {
        job.y = tg_scratch(outer * job.parts * sizeof(T));
        if (job.y == NULL) {
            return TG_ENOMEM;
        }
    }
    size_t grain = NAME(grain_of)(tg_min(len, REDUCE_CHUNK));
    tg_parallel_for(outer * job.parts, grain, NAME(max_rows_task), &job);
    if (job.parts > 1) {
        for (size_t o = 0; o < outer; o++) {
            y[o] = NAME(max_run)(job.y + o * job.parts, job.parts);
        }
    }
    return TG_OK;
}

/* ---- Whether all is finite ------------------------------------------------------------------- */

/* x - x is 0 where x is finite and NaN elsewhere; a partial load fills up with 0. */
static int NAME(finite)(const T *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        V v = vload_n(x + i, tg_min(LANES, n - i));
        if (vany(vnot(veq(v - v, vzero())))) {
            return TG_ENONFINITE;
        }
    }
    return TG_OK;
}

#undef REDUCE_CHUNK
#undef REDUCE_WIDTH
#undef REDUCE_HEIGHT
