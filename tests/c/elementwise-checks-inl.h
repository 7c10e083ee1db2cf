/* elementwise-checks-inl.h: the rows of ops.def, for T; see driver.c. */

struct F(row) {
    const char *name;
    int (*plain)(T *y, const T *x, size_t n);
    int (*plain_grad)(T *dx, const T *g, const T *x, const T *y, size_t n);
    int (*with_p)(T *y, const T *x, T p, size_t n);
    int (*with_p_grad)(T *dx, const T *g, const T *x, const T *y, T p, size_t n);
    long double (*value)(long double x, long double p);
    long double (*slope)(long double x, long double p);
    double ulp;
};

static const struct F(row) F(table)[] = {
#define UNARY(op, f, d) {#op, TG(op), TG(op##_grad), NULL, NULL, value_##op, slope_##op, ulp_##op},
#define UNARY1(op, f, d) {#op, NULL, NULL, TG(op), TG(op##_grad), value_##op, slope_##op, ulp_##op},
#include "ops.def"
};

/* The parameter of a row that has one. */
#define P ((T)0.25)

static int F(run)(const struct F(row) *row, T *y, const T *x, size_t n)
{
    return row->plain != NULL ? row->plain(y, x, n) : row->with_p(y, x, P, n);
}

static int F(run_grad)(const struct F(row) *row, T *dx, const T *g, const T *x, const T *y,
                       size_t n)
{
    return row->plain_grad != NULL ? row->plain_grad(dx, g, x, y, n)
                                   : row->with_p_grad(dx, g, x, y, P, n);
}

/* The distance from the next number of this type, at `want`. */
static long double F(ulp_of)(long double want)
{
    int exponent;
    frexpl(fabsl(want), &exponent);
    return fmaxl(ldexpl(EPSILON, exponent - 1), LEAST);
}

static int F(close)(T got, long double want, long double tolerance)
{
    if (isnan(want) || isnan(got)) {
        return isnan(want) && isnan(got);
    }
    if (isinf((T)want) || isinf(got)) {
        return got == (T)want;
    }
    return fabsl(got - want) <= tolerance;
}

/* Values and slopes on drawn arguments, at every size and offset; in place too. */
static void F(check_row)(const struct F(row) *row, size_t n, size_t offset)
{
    struct arena arena = {.count = 0};
    size_t skip = offset * sizeof(T);
    T *x = take(&arena, n * sizeof(T), skip);
    T *y = take(&arena, n * sizeof(T), skip);
    T *g = take(&arena, n * sizeof(T), 0);
    T *dx = take(&arena, n * sizeof(T), skip);
    for (size_t i = 0; i < n; i++) {
        x[i] = (T)draw(-6, 6);
        g[i] = (T)draw(-2, 2);
    }
    report(F(run)(row, y, x, n) == TG_OK, row->name, n, 0, 0);
    report(F(run_grad)(row, dx, g, x, y, n) == TG_OK, row->name, n, 0, 0);
    for (size_t i = 0; i < n; i++) {
        long double want = row->value(x[i], P);
        report(F(close)(y[i], want, row->ulp * F(ulp_of)(want)), row->name, i, y[i], want);
        long double slope = row->slope(x[i], P);
        long double tolerance = 12 * EPSILON * fabsl(g[i]) * (1 + fabsl(slope));
        report(F(close)(dx[i], g[i] * slope, tolerance), row->name, i, dx[i], g[i] * slope);
    }
    F(run_grad)(row, g, g, x, y, n);
    report(n == 0 || memcmp(g, dx, n * sizeof(T)) == 0, "grad in place", n, 0, 0);
    F(run)(row, x, x, n);
    report(n == 0 || memcmp(x, y, n * sizeof(T)) == 0, "in place", n, 0, 0);
    release(&arena);
}

/* The ends of the range. Tolerance: what is subnormal before it is scaled loses digits. */
static void F(check_edges)(const struct F(row) *row)
{
    T greatest = sizeof(T) == 4 ? (T)FLT_MAX : (T)DBL_MAX;
    T normal = sizeof(T) == 4 ? (T)FLT_MIN : (T)DBL_MIN;
    T x[] = {
        0, (T)-0.0, (T)INFINITY, (T)-INFINITY, (T)NAN, 1, -1, greatest, -greatest, normal, -normal,
        normal / 8, -normal / 8, (T)1e4, (T)-1e4, (T)88.7, (T)-88.7, (T)709.7, (T)-709.7, (T)LEAST,
    };
    T y[COUNT(x)];
    F(run)(row, y, x, COUNT(x));
    for (size_t i = 0; i < COUNT(x); i++) {
        long double want = row->value(x[i], P);
        int limit = isinf(x[i]) && isnan(want); /* such as -inf * 0 */
        long double tolerance = (row->ulp + 1) * F(ulp_of)(want) + 400 * LEAST;
        report(limit || F(close)(y[i], want, tolerance), row->name, i, y[i], want);
    }
}

static void F(check_elementwise)(void)
{
    begin(sizeof(T) == 4 ? "elementwise f32" : "elementwise f64");
    for (size_t r = 0; r < COUNT(F(table)); r++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            F(check_row)(&F(table)[r], sizes[s], 0);
            F(check_row)(&F(table)[r], sizes[s], 1);
        }
        F(check_edges)(&F(table)[r]);
    }
    end();
}

#undef P
