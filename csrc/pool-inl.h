/* pool-inl.h: the largest or the mean of what a window shows of planes (height, width), and the
 * gradients.
 *
 * A window is as good as separable: the rows under it are first joined to one line, in whole
 * vectors, and then the columns of the line. The mean goes back the same way: spread along a line,
 * then added to the rows. Memory bounds the speed where a window of 2 x 2 moves by 2, the usual
 * case, which has loops of its own; elsewhere the columns do, one at a time.
 *
 * The border never wins and counts for the mean only if asked to. Of equal largest entries the
 * first in reading order gets the gradient, and a NaN is larger than any number. */

struct NAME(pool) {
    T *y, *dx;
    const T *x, *g;
    struct tg_window window;
    int with_border; /* whether it counts */
    int status;
};

/* The cells [begin, end) along one axis, of an image, that the window shows at a place. */
struct NAME(span) {
    size_t begin, end;
};

WORD struct NAME(span) NAME(shown)(const struct tg_window *w, size_t axis, size_t place)
{
    size_t start = place * w->stride[axis];
    size_t border = w->padding[axis];
    struct NAME(span) s = {start > border ? start - border : 0, 0};
    s.end = tg_min(w->size[axis], start + w->kernel[axis] - border);
    return s;
}

WORD int NAME(halves)(const struct tg_window *w)
{
    return w->kernel[1] == 2 && w->stride[1] == 2 && w->padding[1] == 0;
}

WORD int NAME(halves_rows)(const struct tg_window *w)
{
    return w->kernel[0] == 2 && w->stride[0] == 2 && w->padding[0] == 0;
}

/* Whether each number is shown exactly once, by a window of 2 x 2. */
WORD int NAME(tiles_by_four)(const struct tg_window *w)
{
    return NAME(halves)(w) && NAME(halves_rows)(w) && w->size[0] % 2 == 0 && w->size[1] % 2 == 0;
}

/* How many numbers a mean is over, when the window shows so many. */
WORD T NAME(shared_by)(const struct NAME(pool) *p, size_t rows, size_t cols)
{
    const size_t *kernel = p->window.kernel;
    return (T)(p->with_border ? kernel[0] * kernel[1] : rows * cols);
}

WORD int NAME(is_larger)(T a, T b)
{
    return (a > b) | ((a != a) & (b == b));
}

/* The lanes of a larger than those of b, a NaN being larger than any number. */
WORD M NAME(larger)(V a, V b)
{
    return vor(vgt(a, b), vand(vnot(veq(a, a)), veq(b, b)));
}

#include "pool-pairs-inl.h"

/* ---- Forward --------------------------------------------------------------------------------- */

/* a and b joined: the larger, or their sum. */
WORD V NAME(joined)(V a, V b, const int largest)
{
    if (largest) {
        return NAME(greater)(b, a);
    }
    return a + b;
}

/* line (width) = the rows of x joined. */
WORD void NAME(join_rows)(T *line, const T *x, const T *x_end, size_t rows, size_t width,
                          const int largest)
{
    for (size_t j = 0; j < width; j += LANES) {
        size_t n = width - j;
        V joined = NAME(load_before)(x + j, n, x_end);
        for (size_t i = 1; i < rows; i++) {
            V row = NAME(load_before)(x + i * width + j, n, x_end);
            joined = NAME(joined)(joined, row, largest);
        }
        vstore(line + j, joined);
    }
}

/* y = the numbers of a line joined that each window shows. */
WORD void NAME(join_columns)(const struct NAME(pool) *p, T *y, const T *line, size_t rows,
                             const int largest)
{
    const struct tg_window *w = &p->window;
    for (size_t j = 0; j < w->out[1]; j++) {
        struct NAME(span) s = NAME(shown)(w, 1, j);
        T joined = line[s.begin];
        for (size_t i = s.begin + 1; i < s.end; i++) {
            joined = largest ? (NAME(is_larger)(line[i], joined) ? line[i] : joined)
                             : joined + line[i];
        }
        y[j] = largest ? joined : joined / NAME(shared_by)(p, rows, s.end - s.begin);
    }
}

/* Both steps at once for windows of two columns that move by two. */
WORD void NAME(join_pairs)(const struct NAME(pool) *p, T *y, const T *y_end, const T *x,
                           const T *x_end, size_t rows, const int largest)
{
    size_t width = p->window.size[1];
    size_t count = p->window.out[1];
    V shared_by = vset(NAME(shared_by)(p, rows, 2));
    for (size_t j = 0; j < count; j += LANES) {
        V left, right;
        V first = NAME(load_before)(x + 2 * j, 2 * (count - j), x_end);
        V second = vzero();
        for (size_t i = 1; i < rows; i++) {
            V row = NAME(load_before)(x + i * width + 2 * j, 2 * (count - j), x_end);
            first = NAME(joined)(first, row, largest);
        }
        if (count - j > LANES / 2) {
            const T *from = x + 2 * j + LANES;
            size_t n = 2 * (count - j) - LANES;
            second = NAME(load_before)(from, n, x_end);
            for (size_t i = 1; i < rows; i++) {
                V row = NAME(load_before)(from + i * width, n, x_end);
                second = NAME(joined)(second, row, largest);
            }
        }
        NAME(unzip)(&left, &right, first, second);
        left = NAME(joined)(left, right, largest);
        if (!largest) {
            left = left / shared_by;
        }
        NAME(store_before)(y + j, left, count - j, y_end);
    }
}

/* Planes [begin, end). */
WORD void NAME(pool_planes)(struct NAME(pool) *p, size_t begin, size_t end, const int largest)
{
    const struct tg_window *w = &p->window;
    size_t pixels = w->size[0] * w->size[1];
    size_t places = w->out[0] * w->out[1];
    T *line = tg_scratch_of(TG_OF_TASK, (w->size[1] + LANES) * sizeof(T));
    tg_note(&p->status, line ? TG_OK : TG_ENOMEM);
    for (size_t i = begin; line && i < end; i++) {
        for (size_t j = 0; j < w->out[0]; j++) {
            struct NAME(span) s = NAME(shown)(w, 0, j);
            const T *x = p->x + i * pixels + s.begin * w->size[1];
            T *y = p->y + i * places + j * w->out[1];
            size_t rows = s.end - s.begin;
            if (NAME(halves)(w)) {
                NAME(join_pairs)(p, y, p->y + end * places, x, p->x + end * pixels, rows, largest);
            } else {
                NAME(join_rows)(line, x, p->x + end * pixels, rows, w->size[1], largest);
                NAME(join_columns)(p, y, line, rows, largest);
            }
        }
    }
}

static void NAME(max_pool_task)(void *context, size_t begin, size_t end)
{
    NAME(pool_planes)(context, begin, end, 1);
}

static void NAME(avg_pool_task)(void *context, size_t begin, size_t end)
{
    NAME(pool_planes)(context, begin, end, 0);
}

static int NAME(over_planes)(struct NAME(pool) *p, size_t planes, tg_task task)
{
    size_t pixels = p->window.size[0] * p->window.size[1];
    size_t seen = p->window.out[0] * p->window.out[1] * p->window.kernel[0] * p->window.kernel[1];
    tg_parallel_for(planes, NAME(grain_of)(pixels + seen), task, p);
    return p->status;
}

static int NAME(max_pool2d)(T *y, const T *x, const struct tg_window *window, size_t planes)
{
    struct NAME(pool) p = {.y = y, .x = x, .window = *window};
    return NAME(over_planes)(&p, planes, NAME(max_pool_task));
}

static int NAME(avg_pool2d)(T *y, const T *x, const struct tg_window *window, size_t planes,
                            int with_border)
{
    struct NAME(pool) p = {.y = y, .x = x, .window = *window, .with_border = with_border};
    return NAME(over_planes)(&p, planes, NAME(avg_pool_task));
}

/* ---- The gradient of the mean ---------------------------------------------------------------- */

/* line (width) = each g's share, at the columns that it is the mean of. */
WORD void NAME(spread_columns)(const struct NAME(pool) *p, T *line, const T *g, size_t rows)
{
    const struct tg_window *w = &p->window;
    memset(line, 0, w->size[1] * sizeof(T));
    for (size_t j = 0; j < w->out[1]; j++) {
        struct NAME(span) s = NAME(shown)(w, 1, j);
        T share = g[j] / NAME(shared_by)(p, rows, s.end - s.begin);
        for (size_t i = s.begin; i < s.end; i++) {
            line[i] += share;
        }
    }
}

/* Add a line to each of the rows of dx. */
WORD void NAME(add_to_rows)(T *dx, const T *line, size_t rows, size_t width)
{
    for (size_t i = 0; i < rows; i++, dx += width) {
        for (size_t k = 0; k < width; k += LANES) {
            V sum = NAME(load_upto)(dx + k, width - k) + vload(line + k);
            NAME(store_upto)(dx + k, sum, width - k);
        }
    }
}

/* Write the shares of two rows of two columns each, which no other window shows. */
WORD void NAME(spread_pairs)(T *dx, const T *dx_end, const T *g, size_t count, V shared_by)
{
    const T *above_end = count > LANES ? dx + 2 * count : dx_end; /* the row below has begun */
    for (size_t j = 0; j < count; j += LANES) {
        V share = NAME(load_upto)(g + j, count - j) / shared_by;
        NAME(store_pairs)(dx + 2 * j, share, share, 2 * (count - j), above_end);
        NAME(store_pairs)(dx + 2 * (count + j), share, share, 2 * (count - j), dx_end);
    }
}

static void NAME(avg_pool_grad_task)(void *context, size_t begin, size_t end)
{
    struct NAME(pool) *p = context;
    const struct tg_window *w = &p->window;
    size_t width = w->size[1];
    size_t pixels = w->size[0] * width;
    T *line = tg_scratch_of(TG_OF_TASK, (width + LANES) * sizeof(T));
    tg_note(&p->status, line ? TG_OK : TG_ENOMEM);
    if (!NAME(tiles_by_four)(w)) {
        memset(p->dx + begin * pixels, 0, (end - begin) * pixels * sizeof(T));
    }
    for (size_t i = begin; line && i < end; i++) {
        for (size_t j = 0; j < w->out[0]; j++) {
            struct NAME(span) s = NAME(shown)(w, 0, j);
            const T *g = p->g + (i * w->out[0] + j) * w->out[1];
            T *dx = p->dx + i * pixels + s.begin * width;
            if (NAME(tiles_by_four)(w)) {
                NAME(spread_pairs)(dx, p->dx + end * pixels, g, w->out[1], vset(4));
            } else {
                NAME(spread_columns)(p, line, g, s.end - s.begin);
                NAME(add_to_rows)(dx, line, s.end - s.begin, width);
            }
        }
    }
}

static int NAME(avg_pool2d_grad)(T *dx, const T *g, const struct tg_window *window, size_t planes,
                                 int with_border)
{
    struct NAME(pool) p = {.dx = dx, .g = g, .window = *window, .with_border = with_border};
    return NAME(over_planes)(&p, planes, NAME(avg_pool_grad_task));
}

/* ---- The gradient of the largest ------------------------------------------------------------- */

/* Add g (out) to the first of the largest entries that the window shows of x, at each place along
 * row `place` of the map. */
WORD void NAME(to_winners)(const struct tg_window *w, T *dx, const T *g, const T *x, size_t place)
{
    struct NAME(span) rows = NAME(shown)(w, 0, place);
    for (size_t j = 0; j < w->out[1]; j++) {
        struct NAME(span) cols = NAME(shown)(w, 1, j);
        size_t winner = rows.begin * w->size[1] + cols.begin;
        T best = x[winner];
        for (size_t r = rows.begin; r < rows.end; r++) {
            for (size_t at = r * w->size[1] + cols.begin; at < r * w->size[1] + cols.end; at++) {
                int larger = NAME(is_larger)(x[at], best);
                winner = larger ? at : winner;
                best = larger ? x[at] : best;
            }
        }
        dx[winner] += g[j];
    }
}

/* The same for a window of 2 x 2 that moves by 2: all four numbers of dx are written. */
WORD void NAME(to_winners_of_four)(T *dx, const T *dx_end, const T *g, const T *x,
                                   const T *x_end, size_t width, size_t count)
{
    V none = vzero();
    const T *above_end = count > LANES ? dx + width : dx_end; /* the row below has begun */
    for (size_t j = 0; j < count; j += LANES) {
        V a, b, c, d;
        size_t n = 2 * (count - j);
        NAME(load_pairs)(&a, &b, x + 2 * j, n, x_end);
        NAME(load_pairs)(&c, &d, x + width + 2 * j, n, x_end);
        V from = NAME(load_upto)(g + j, count - j);
        M above_right = NAME(larger)(b, a);
        M below_right = NAME(larger)(d, c);
        M below = NAME(larger)(vselect(below_right, d, c), vselect(above_right, b, a));
        V above = vselect(below, none, from);
        V under = vselect(below, from, none);
        NAME(store_pairs)(dx + 2 * j, vselect(above_right, none, above),
                          vselect(above_right, above, none), n, above_end);
        NAME(store_pairs)(dx + width + 2 * j, vselect(below_right, none, under),
                          vselect(below_right, under, none), n, dx_end);
    }
}

static void NAME(max_pool_grad_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(pool) *p = context;
    const struct tg_window *w = &p->window;
    size_t width = w->size[1];
    size_t pixels = w->size[0] * width;
    int four = NAME(halves)(w) && NAME(halves_rows)(w);
    if (!NAME(tiles_by_four)(w)) {
        memset(p->dx + begin * pixels, 0, (end - begin) * pixels * sizeof(T));
    }
    for (size_t i = begin; i < end; i++) {
        const T *x = p->x + i * pixels;
        T *dx = p->dx + i * pixels;
        for (size_t j = 0; j < w->out[0]; j++) {
            const T *g = p->g + (i * w->out[0] + j) * w->out[1];
            if (four) {
                size_t at = 2 * j * width;
                NAME(to_winners_of_four)(dx + at, p->dx + end * pixels, g, x + at,
                                         p->x + end * pixels, width, w->out[1]);
            } else {
                NAME(to_winners)(w, dx, g, x, j);
            }
        }
    }
}

static int NAME(max_pool2d_grad)(T *dx, const T *g, const T *x, const struct tg_window *window,
                                 size_t planes)
{
    struct NAME(pool) p = {.dx = dx, .g = g, .x = x, .window = *window};
    return NAME(over_planes)(&p, planes, NAME(max_pool_grad_task));
}
