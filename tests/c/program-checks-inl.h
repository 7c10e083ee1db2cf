/* program-checks-inl.h: what only programs call: binary.def, copy, spread, the optimizers on outer
 * products; and program.c itself: a chain in tiles, binds, many runs. For T; see driver.c. */

/* ---- Two operands ---------------------------------------------------------------------------- */

#define BINARY(op, f) \
    static const struct { \
        int (*arrays)(T *z, const T *x, const T *y, size_t n); \
        int (*right)(T *z, const T *x, T p, size_t n); \
        int (*left)(T *z, const T *y, T p, size_t n); \
    } F(op##_kernels) = {TG(op), TG(op##_right), TG(op##_left)};
#include "binary.def"

#define CHECK_BINARY(op, n, want) \
    do { \
        struct arena arena = {.count = 0}; \
        T *a = F(drawn)(&arena, n, 1), *b = F(drawn)(&arena, n, 0); \
        T *z = take(&arena, (n) * sizeof(T), sizeof(T)); \
        if ((n) > 3) { \
            a[1] = b[2] = (T)NAN; \
            a[3] = b[3]; \
        } \
        F(op##_kernels).arrays(z, a, b, n); \
        for (size_t i = 0; i < (n); i++) { \
            T x = a[i], y = b[i]; \
            report(F(same)(z[i], (want)), #op, i, z[i], (want)); \
        } \
        F(op##_kernels).right(z, a, (T)0.75, n); \
        for (size_t i = 0; i < (n); i++) { \
            T x = a[i], y = (T)0.75; \
            report(F(same)(z[i], (want)), #op " number", i, z[i], (want)); \
        } \
        F(op##_kernels).left(z, b, (T)0.75, n); \
        for (size_t i = 0; i < (n); i++) { \
            T x = (T)0.75, y = b[i]; \
            report(F(same)(z[i], (want)), "number " #op, i, z[i], (want)); \
        } \
        release(&arena); \
    } while (0)

static int F(same)(T a, T b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void F(check_binary)(size_t n)
{
    CHECK_BINARY(plus, n, x + y);
    CHECK_BINARY(minus, n, x - y);
    CHECK_BINARY(times, n, x * y);
    CHECK_BINARY(over, n, x / y);
    CHECK_BINARY(larger_of, n, isnan(x) ? x : isnan(y) ? y : x > y ? x : y);
    CHECK_BINARY(smaller_of, n, isnan(x) ? x : isnan(y) ? y : x < y ? x : y);
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* A (3, 4, n) array read with its axes reversed, its last one backward, and one row repeated. */
static void F(check_copy)(size_t n)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, 3 * 4 * n, 1);
    T *y = take(&arena, n * 4 * 3 * 2 * sizeof(T), 0);
    struct tg_strided s = {.ndim = 4, .shape = {n, 4, 2, 3}};
    ptrdiff_t strides[] = {1, (ptrdiff_t)n, 0, -4 * (ptrdiff_t)n};
    memcpy(s.strides, strides, sizeof strides);
    TG(copy)(y, x + 8 * n, &s);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < 4; j++) {
            for (size_t k = 0; k < 2; k++) {
                for (size_t l = 0; l < 3; l++, at++) {
                    T want = x[(2 - l) * 4 * n + j * n + i];
                    report(y[at] == want, "copy", at, y[at], want);
                }
            }
        }
    }
    release(&arena);
}

static void F(check_spread)(size_t length, size_t repeat, size_t times)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, length, 0);
    size_t n = length * repeat * times;
    for (size_t begin = 0; begin < n; begin += n / 5 + 1) {
        size_t count = n - begin < 7 ? n - begin : n / 3;
        count = count < n - begin ? count : n - begin;
        T *y = take(&arena, count * sizeof(T), 0);
        TG(spread)(y, x, begin, count, repeat, length);
        for (size_t i = 0; i < count; i++) {
            T want = x[(begin + i) / repeat % length];
            report(y[i] == want, "spread", i, y[i], want);
        }
    }
    release(&arena);
}

/* ---- Gradients that are outer products ------------------------------------------------------- */

static void F(check_outer)(size_t rows, size_t cols, int adam)
{
    struct arena arena = {.count = 0};
    size_t n = rows * cols;
    T *u = F(drawn)(&arena, rows, 0), *v = F(drawn)(&arena, cols, 1);
    T *g = take(&arena, n * sizeof(T), 0), *state[2][3];
    for (size_t i = 0; i < n; i++) {
        g[i] = u[i / cols] * v[i % cols];
    }
    for (int k = 0; k < 3; k++) {
        state[0][k] = F(drawn)(&arena, n, 0);
        state[1][k] = take(&arena, n * sizeof(T), sizeof(T));
        for (size_t i = 0; i < n; i++) {
            state[0][k][i] = k == 2 ? state[0][k][i] * state[0][k][i] : state[0][k][i];
        }
        memcpy(state[1][k], state[0][k], n * sizeof(T));
    }
    const T *given[] = {g}, *left[] = {u}, *right[] = {v};
    if (adam) {
        TG(adam)(&state[0][0], &state[0][1], &state[0][2], given, &n, 1, 0.01, 0.9, 0.999, 1e-8,
                 0.1, 0, 0.5, 0.3);
        TG(adam_outer)(&state[1][0], &state[1][1], &state[1][2], left, right, &rows, &cols, 1,
                       0.01, 0.9, 0.999, 1e-8, 0.1, 0, 0.5, 0.3);
    } else {
        TG(sgd)(&state[0][0], &state[0][1], given, &n, 1, 0.1, 0.9, 0, 1, 0.01, 0);
        TG(sgd_outer)(&state[1][0], &state[1][1], left, right, &rows, &cols, 1, 0.1, 0.9, 0, 1,
                      0.01, 0);
    }
    for (int k = 0; k < 3; k++) {
        report(n == 0 || memcmp(state[0][k], state[1][k], n * sizeof(T)) == 0, "outer", n, k, 0);
    }
    release(&arena);
}

/* ---- Programs -------------------------------------------------------------------------------- */

static int F(words_times)(const union tg_word *w)
{
    return TG(times)(w[0].p, w[1].p, w[2].p, w[3].n);
}

static int F(words_plus_right)(const union tg_word *w)
{
    return TG(plus_right)(w[0].p, w[1].p, (T)w[2].d, w[3].n);
}

static int F(words_spread)(const union tg_word *w)
{
    return TG(spread)(w[0].p, w[1].p, w[2].n, w[3].n, w[4].n, w[5].n);
}

static int F(words_fail)(const union tg_word *w)
{
    (void)w;
    return TG_EINDEX;
}

/* y = x * row + 0.5, with the product in a register, and row (cols) along the rows of x. */
static void F(check_tiles)(size_t n, size_t cols)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, n, 1), *row = F(drawn)(&arena, cols, 0);
    T *y = take(&arena, n * sizeof(T), 0);
    union tg_word words[3][TG_TILE_WORDS] = {
        {{.n = 0}, {.p = row}, {.n = 0}, {.n = 0}, {.n = 1}, {.n = cols}},
        {{.n = 1}, {.p = x}, {.n = 0}, {.n = 0}},
        {{.p = y}, {.n = 1}, {.d = 0.5}, {.n = 0}},
    };
    struct tg_call calls[] = {
        {F(words_spread), words[0]},
        {F(words_times), words[1]},
        {F(words_plus_right), words[2]},
    };
    unsigned char moves[3 * TG_TILE_WORDS] = {
        TG_REGISTER, TG_FIXED, TG_BEGIN, TG_LENGTH, TG_FIXED, TG_FIXED,
        TG_REGISTER, TG_ALONG, TG_REGISTER, TG_LENGTH, TG_FIXED, TG_FIXED,
        TG_ALONG, TG_REGISTER, TG_FIXED, TG_LENGTH, TG_FIXED, TG_FIXED,
    };
    struct tg_tiles tiles = {calls, moves, 3, 64, sizeof(T), 2};
    union tg_word chain[] = {{.p = &tiles}, {.n = n}};
    report(words_tiles(chain) == TG_OK, "tiles", n, 0, 0);
    for (size_t i = 0; i < n; i++) {
        T product = x[i] * row[i % cols]; /* rounded apart, as the kernels do */
        report(y[i] == product + (T)0.5, "tiles", i, y[i], product + (T)0.5);
    }
    release(&arena);
}

/* Steps of z = (batch of x) + number, the number another one at each; the fourth fails. */
static void F(check_many)(void)
{
    enum { ROWS = 7, COLS = 3, BATCH = 2, STEPS = 3 };
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, ROWS * COLS, 1);
    T *batch = take(&arena, BATCH * COLS * sizeof(T), 0);
    T *z = take(&arena, STEPS * BATCH * COLS * sizeof(T), sizeof(T));
    int64_t order[] = {6, 0, 3, 3, 5, 1};
    union tg_word words[] = {{.p = NULL}, {.p = NULL}, {.d = 0}, {.n = BATCH * COLS}};
    union tg_word numbers[] = {{.d = 1}, {.d = 2}, {.d = 3}};
    struct tg_call calls[] = {{F(words_plus_right), words}, {F(words_fail), words}};
    struct tg_bind binds[] = {{&words[0], 1, 0}, {&words[1], 0, 0}};
    struct tg_program program = {calls, 1, binds, 2, 0};
    struct tg_source source = {(char *)batch, (const char *)x, COLS * sizeof(T)};
    struct tg_varying varying = {&words[2], numbers};
    uintptr_t arrays[] = {(uintptr_t)batch, (uintptr_t)z};
    size_t steps[] = {0, BATCH * COLS * sizeof(T)};
    struct tg_many many = {arrays, steps, 2, &source, 1, order, BATCH, &varying, 1};
    size_t done, failed = 99;
    report(tg_run_many(&program, &many, STEPS, &done, &failed) == TG_OK, "many", 0, 0, 0);
    report(done == STEPS, "many done", 0, (long double)done, STEPS);
    for (size_t i = 0; i < STEPS * BATCH * COLS; i++) {
        size_t row = (size_t)order[i / COLS];
        T want = x[row * COLS + i % COLS] + (T)(1 + i / (BATCH * COLS));
        report(z[i] == want, "many", i, z[i], want);
    }
    uintptr_t again[] = {(uintptr_t)batch, (uintptr_t)z};
    program.call_count = 2;
    report(tg_run(&program, again, &failed) == TG_EINDEX && failed == 1, "failed", failed, 0, 0);
    many.arrays = again;
    report(tg_run_many(&program, &many, STEPS, &done, &failed) == TG_EINDEX && done == 0,
           "many failed", done, 0, 0);
    /* Arrays by what stands for their ids: the pointer lies behind a head. */
    struct { char head[16]; T *numbers; } ids[] = {{"", batch}, {"", z}};
    uintptr_t heads[] = {(uintptr_t)&ids[0], (uintptr_t)&ids[1]};
    program.call_count = 1;
    program.head = 16;
    report(tg_run(&program, heads, &failed) == TG_OK && z[0] == batch[0] + (T)words[2].d, "ids", 0,
           z[0], 0);
    release(&arena);
}

static void F(check_programs)(void)
{
    begin(sizeof(T) == 4 ? "programs f32" : "programs f64");
    for (size_t s = 0; s < COUNT(sizes); s++) {
        F(check_binary)(sizes[s]);
        F(check_outer)(3, sizes[s], 0);
        F(check_outer)(5, sizes[s], 1);
        F(check_tiles)(sizes[s], 5);
        if (sizes[s] > 0) {
            F(check_copy)(sizes[s]);
            F(check_spread)(sizes[s], 1, 3);
            F(check_spread)(3, sizes[s], 2);
        }
    }
    F(check_binary)(70001);
    F(check_outer)(301, 257, 0);
    F(check_tiles)(70001, 331);
    F(check_many)();
    end();
}
