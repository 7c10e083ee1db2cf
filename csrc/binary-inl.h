/* binary-inl.h: the loops of binary.def, and what brings operands into shape, for one (instruction
 * set, dtype).
 *
 * A number among the operands is a vector that is loaded once: the same loop, with a step of 0. */

struct NAME(binary) {
    T *z;
    const T *x, *y;
    size_t x_step, y_step; /* 0 for a number: x or y then points to a vector of copies */
};

typedef V (*NAME(binary_of))(V x, V y);

/* z[i] = f(x[i], y[i]) for i in [begin, end). */
WORD void NAME(map_binary)(void *context, size_t begin, size_t end, NAME(binary_of) f)
{
    const struct NAME(binary) *job = context;
    size_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
        size_t k = i + LANES;
        V first = f(vload(job->x + i * job->x_step), vload(job->y + i * job->y_step));
        V second = f(vload(job->x + k * job->x_step), vload(job->y + k * job->y_step));
        vstore(job->z + i, first);
        vstore(job->z + k, second);
    }
    for (; i < end; i += LANES) {
        size_t n = tg_min(LANES, end - i);
        V x = vload_n(job->x + i * job->x_step, n);
        V y = vload_n(job->y + i * job->y_step, n);
        vstore_n(job->z + i, f(x, y), n);
    }
}

WORD int NAME(run_binary)(T *z, const T *x, const T *y, size_t n, tg_task task)
{
    struct NAME(binary) job = {z, x, y, 1, 1};
    tg_parallel_for(n, TG_GRAIN, task, &job);
    return TG_OK;
}

WORD int NAME(run_number)(T *z, const T *x, const T *y, T p, size_t n, tg_task task)
{
    T copies[LANES];
    vstore(copies, vset(p));
    struct NAME(binary) job = {z, x != NULL ? x : copies, y != NULL ? y : copies, x != NULL,
                               y != NULL};
    tg_parallel_for(n, TG_GRAIN, task, &job);
    return TG_OK;
}

#define BINARY(op, f) \
    WORD V NAME(op##_of)(V x, V y) { return f; } \
    static void NAME(op##_task)(void *c, size_t begin, size_t end) \
    { NAME(map_binary)(c, begin, end, NAME(op##_of)); } \
    static int NAME(op)(T *z, const T *x, const T *y, size_t n) \
    { return NAME(run_binary)(z, x, y, n, NAME(op##_task)); } \
    static int NAME(op##_right)(T *z, const T *x, T p, size_t n) \
    { return NAME(run_number)(z, x, NULL, p, n, NAME(op##_task)); } \
    static int NAME(op##_left)(T *z, const T *y, T p, size_t n) \
    { return NAME(run_number)(z, NULL, y, p, n, NAME(op##_task)); }
#include "binary.def"

/* One row of the innermost axis. */
WORD void NAME(copy_row)(T *y, const T *x, size_t n, ptrdiff_t stride)
{
    if (stride == 1) {
        memcpy(y, x, n * sizeof(T));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        y[i] = x[(ptrdiff_t)i * stride];
    }
}

static int NAME(copy)(T *y, const T *x, const struct tg_strided *s)
{
    size_t index[TG_MAX_AXES] = {0};
    size_t last = s->ndim - 1, n = s->shape[last];
    for (;;) {
        NAME(copy_row)(y, x, n, s->strides[last]);
        y += n;
        size_t axis = last;
        for (;;) { /* count to the next row, as an odometer does */
            if (axis-- == 0) {
                return TG_OK;
            }
            x += s->strides[axis];
            if (++index[axis] < s->shape[axis]) {
                break;
            }
            x -= (ptrdiff_t)s->shape[axis] * s->strides[axis];
            index[axis] = 0;
        }
    }
}

static int NAME(spread)(T *y, const T *x, size_t begin, size_t n, size_t repeat, size_t length)
{
    size_t place = begin / repeat % length, used = begin % repeat;
    for (size_t i = 0; i < n;) {
        size_t run;
        if (repeat == 1) {
            run = tg_min(length - place, n - i);
            memcpy(y + i, x + place, run * sizeof(T));
            place += run;
        } else {
            run = tg_min(repeat - used, n - i);
            for (size_t k = 0; k < run; k++) {
                y[i + k] = x[place];
            }
            used = 0;
            place += 1;
        }
        place = place == length ? 0 : place;
        i += run;
    }
    return TG_OK;
}
