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

/* Whether each row is shown exactly once. */
WORD int NAME(tiles_rows)(const struct tg_window *w)
{
    return w->kernel[0] == w->stride[0] && w->padding[0] == 0 && w->size[0] % w->kernel[0] == 0;
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

/* ---- Forward --------------------------------------------------------------------------------- */

/* line (width) = the rows of x joined: the largest of each column, or the sum. */
WORD void NAME(join_rows)(T *line, const T *x, size_t rows, size_t width, const int largest)
{
    for (size_t j = 0; j < width; j += LANES) {
        size_t n = width - j;
        V joined = NAME(load_upto)(x + j, n);
        for (size_t i = 1; i < rows; i++) {
            V row = NAME(load_upto)(x + i * width + j, n);
            if (largest) {
                joined = NAME(greater)(joined, row);
            } else {
                joined = joined + row;
            }
        }
        vstore(line + j, joined);
    }
}

WORD void NAME(join_columns)(const struct NAME(pool) *p, T *y, const T *line, size_t rows,
                             const int largest)
{
    const struct tg_window *w = &p->window;
    if (NAME(halves)(w)) {
        T count = NAME(shared_by)(p, rows, 2);
        for (size_t j = 0; j < w->out[1]; j++) {
            T a = line[2 * j];
            T b = line[2 * j + 1];
            y[j] = largest ? (NAME(is_larger)(b, a) ? b : a) : (a + b) / count;
        }
        return;
    }
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

/* Planes [begin, end). */
WORD void NAME(pool_planes)(struct NAME(pool) *p, size_t begin, size_t end, const int largest)
{
    const struct tg_window *w = &p->window;
    T *line = tg_scratch_of(TG_OF_TASK, (w->size[1] + LANES) * sizeof(T));
    tg_note(&p->status, line ? TG_OK : TG_ENOMEM);
    for (size_t i = begin; line && i < end; i++) {
        const T *x = p->x + i * w->size[0] * w->size[1];
        T *y = p->y + i * w->out[0] * w->out[1];
        for (size_t j = 0; j < w->out[0]; j++) {
            struct NAME(span) s = NAME(shown)(w, 0, j);
            size_t rows = s.end - s.begin;
            NAME(join_rows)(line, x + s.begin * w->size[1], rows, w->size[1], largest);
            NAME(join_columns)(p, y + j * w->out[1], line, rows, largest);
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
    if (NAME(halves)(w)) {
        T count = NAME(shared_by)(p, rows, 2);
        for (size_t j = 0; j < w->out[1]; j++) {
            line[2 * j] = line[2 * j + 1] = g[j] / count;
        }
        return;
    }
    for (size_t j = 0; j < w->out[1]; j++) {
        struct NAME(span) s = NAME(shown)(w, 1, j);
        T share = g[j] / NAME(shared_by)(p, rows, s.end - s.begin);
        for (size_t i = s.begin; i < s.end; i++) {
            line[i] += share;
        }
    }
}

static void NAME(avg_pool_grad_task)(void *context, size_t begin, size_t end)
{
    struct NAME(pool) *p = context;
    const struct tg_window *w = &p->window;
    size_t width = w->size[1];
    T *line = tg_scratch_of(TG_OF_TASK, (width + LANES) * sizeof(T));
    tg_note(&p->status, line ? TG_OK : TG_ENOMEM);
    int tiles = NAME(tiles_rows)(w);
    for (size_t i = begin; line && i < end; i++) {
        T *dx = p->dx + i * w->size[0] * width;
        if (!tiles) {
            memset(dx, 0, w->size[0] * width * sizeof(T));
        }
        for (size_t j = 0; j < w->out[0]; j++) {
            struct NAME(span) s = NAME(shown)(w, 0, j);
            NAME(spread_columns)(p, line, p->g + (i * w->out[0] + j) * w->out[1], s.end - s.begin);
            for (T *row = dx + s.begin * width; row < dx + s.end * width; row += width) {
                for (size_t k = 0; k < width; k += LANES) {
                    V sum = vload(line + k);
                    if (!tiles) {
                        sum = sum + NAME(load_upto)(row + k, width - k);
                    }
                    NAME(store_upto)(row + k, sum, width - k);
                }
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
WORD void NAME(to_winners_of_four)(T *dx, const T *g, const T *x, size_t width, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        T a = x[2 * j];
        T b = x[2 * j + 1];
        T c = x[width + 2 * j];
        T d = x[width + 2 * j + 1];
        int above_right = NAME(is_larger)(b, a);
        int below_right = NAME(is_larger)(d, c);
        int below = NAME(is_larger)(below_right ? d : c, above_right ? b : a);
        T g_above = below ? 0 : g[j];
        T g_below = below ? g[j] : 0;
        dx[2 * j] = above_right ? 0 : g_above;
        dx[2 * j + 1] = above_right ? g_above : 0;
        dx[width + 2 * j] = below_right ? 0 : g_below;
        dx[width + 2 * j + 1] = below_right ? g_below : 0;
    }
}

static void NAME(max_pool_grad_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(pool) *p = context;
    const struct tg_window *w = &p->window;
    size_t width = w->size[1];
    int four = NAME(halves)(w) && w->kernel[0] == 2 && w->stride[0] == 2 && w->padding[0] == 0;
    int all = four && NAME(tiles_rows)(w) && width % 2 == 0;
    for (size_t i = begin; i < end; i++) {
        const T *x = p->x + i * w->size[0] * width;
        T *dx = p->dx + i * w->size[0] * width;
        if (!all) {
            memset(dx, 0, w->size[0] * width * sizeof(T));
        }
        for (size_t j = 0; j < w->out[0]; j++) {
            const T *g = p->g + (i * w->out[0] + j) * w->out[1];
            if (four) {
                size_t at = 2 * j * width;
                NAME(to_winners_of_four)(dx + at, g, x + at, width, w->out[1]);
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
