/* softmax-short-inl.h: softmax-inl.h's kernels for short rows, which are turned by 90 degrees,
 * LANES of them at a time: what is done to one row is then done to all of them, in one lane each. A
 * result depends on its row alone. */

/* Rows up to this long are turned. */
#undef SHORT
#define SHORT (4 * LANES)

/* `rows` <= LANES rows of `cols` <= SHORT numbers, columns as vectors. */
struct NAME(turned) {
    V column[SHORT];
    size_t rows, cols;
};

static void NAME(turn)(struct NAME(turned) *t, const T *x, size_t rows, size_t cols)
{
    t->rows = rows;
    t->cols = cols;
    for (size_t c = 0; c < cols; c += LANES) {
        for (size_t r = 0; r < LANES; r++) {
            t->column[c + r] = r < rows ? NAME(load_upto)(x + r * cols + c, cols - c) : vzero();
        }
        NAME(transpose)(t->column + c);
    }
}

/* The inverse. A store spills into rows that are written after it, if there are any. */
static void NAME(turn_back)(T *y, struct NAME(turned) *t)
{
    for (size_t c = 0; c < t->cols; c += LANES) {
        NAME(transpose)(t->column + c);
    }
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->cols; c += LANES) {
            size_t left = (t->rows - r) * t->cols - c;
            NAME(store_upto)(y + r * t->cols + c, t->column[c + r],
                             left >= LANES ? LANES : t->cols - c);
        }
    }
}

/* Subtract from each row its maximum, which is returned; if `finite`, an infinite one counts as
 * 0. */
WORD V NAME(shift_turned)(struct NAME(turned) *t, const int finite)
{
    V greatest = vset((T)-INFINITY);
    for (size_t c = 0; c < t->cols; c++) {
        greatest = vmax(t->column[c], greatest);
    }
    if (finite) {
        greatest = vselect(vlt(vabs(greatest), vset((T)INFINITY)), greatest, vzero());
    }
    for (size_t c = 0; c < t->cols; c++) {
        t->column[c] = t->column[c] - greatest;
    }
    return greatest;
}

/* The sum of each row's exponentials. */
WORD V NAME(exp_turned)(V *e, const struct NAME(turned) *t)
{
    V sum = vzero();
    for (size_t c = 0; c < t->cols; c++) {
        e[c] = vexp(t->column[c]);
        sum = sum + e[c];
    }
    return sum;
}

static void NAME(softmax_short)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(turned) t;
    NAME(turn)(&t, x, rows, cols);
    NAME(shift_turned)(&t, 0);
    V sum = NAME(exp_turned)(t.column, &t);
    for (size_t c = 0; c < cols; c++) {
        t.column[c] = t.column[c] / sum;
    }
    NAME(turn_back)(y, &t);
}

static void NAME(log_softmax_short)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(turned) t;
    V e[SHORT];
    NAME(turn)(&t, x, rows, cols);
    NAME(shift_turned)(&t, 0);
    V log_sum = vlog(NAME(exp_turned)(e, &t));
    for (size_t c = 0; c < cols; c++) {
        t.column[c] = t.column[c] - log_sum;
    }
    NAME(turn_back)(y, &t);
}

static void NAME(logsumexp_short)(T *y, const T *x, size_t rows, size_t cols)
{
    struct NAME(turned) t;
    NAME(turn)(&t, x, rows, cols);
    V greatest = NAME(shift_turned)(&t, 1);
    V sum = NAME(exp_turned)(t.column, &t);
    NAME(store_upto)(y, greatest + vlog(sum), rows);
}

/* See cross_entropy_task. */
static void NAME(cross_entropy_short)(const struct NAME(rows) *job, size_t first, size_t rows)
{
    size_t n = job->cols;
    T s = job->smoothing;
    const T *x = job->x + first * n;
    struct NAME(turned) t;
    NAME(turn)(&t, x, rows, n);
    V greatest = NAME(shift_turned)(&t, 0);
    V mean = vzero();
    for (size_t c = 0; s != 0 && c < n; c++) {
        mean = mean + t.column[c];
    }
    V sum = NAME(exp_turned)(t.column, &t);
    V log_sum = vlog(sum);
    for (size_t c = 0; c < n; c++) {
        t.column[c] = t.column[c] / sum;
    }
    NAME(turn_back)(job->p + first * n, &t);
    T wanted[LANES];
    vstore(wanted, greatest);
    for (size_t r = 0; r < rows; r++) {
        wanted[r] = x[r * n + (size_t)job->target[first + r]] - wanted[r];
    }
    V loss = log_sum - vload(wanted);
    if (s != 0) {
        loss = vset(1 - s) * loss + vset(s) * (log_sum - mean / vset((T)n));
    }
    NAME(store_upto)(job->y + first, loss, rows);
}
