/* accuracy-inl.h: the rows of ops.def measured, for T; see accuracy.c. FAST mangles the names of
 * the type that screens; sweep and swept give the arguments. */
static const struct format F(format) = FORMAT;

struct F(row) {
    const char *name;
    void (*value)(const struct tg_kernels *isa, T *y, const T *x, size_t n);
    void (*slope)(const struct tg_kernels *isa, T *dx, const T *g, const T *x, const T *y,
                  size_t n);
    FAST(real) (*fast_value)(FAST(real) x, FAST(real) p);
    FAST(real) (*fast_slope)(FAST(real) x, FAST(real) p);
    exact (*exact_value)(exact x, exact p);
    exact (*exact_slope)(exact x, exact p);
};

/* The parameter of a row that has one: no power of two, whose products are exact. */
#define P ((T)0.3)

#define ROW(op, value_arguments, slope_arguments) \
    static void F(run_##op)(const struct tg_kernels *isa, T *y, const T *x, size_t n) \
    { KERNELS(isa).op value_arguments; } \
    static void F(run_##op##_grad)(const struct tg_kernels *isa, T *dx, const T *g, const T *x, \
                                   const T *y, size_t n) \
    { KERNELS(isa).op##_grad slope_arguments; }
#define UNARY(op, f, d) ROW(op, (y, x, n), (dx, g, x, y, n))
#define UNARY1(op, f, d) ROW(op, (y, x, P, n), (dx, g, x, y, P, n))
#include "ops.def"
#undef ROW

static const struct F(row) F(table)[] = {
#define UNARY(op, f, d) {#op, F(run_##op), F(run_##op##_grad), FAST(value_##op), \
    FAST(slope_##op), EXACT(value_##op), EXACT(slope_##op)},
#define UNARY1 UNARY
#include "ops.def"
};

struct F(worst) {
    double error;
    T x;
};

/* The n-th argument: first the neighbours of the anchors, then the sweep. */
static T F(argument)(uint64_t n)
{
    if (n >= ANCHORED) {
        return F(swept)(n - ANCHORED);
    }
    T x = (T)anchors[n / (2 * NEIGHBOURS)];
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    bits += (BITS)(n % NEIGHBOURS);
    bits -= bits < NEIGHBOURS ? 0 : NEIGHBOURS / 2;
    memcpy(&x, &bits, sizeof x);
    return n / NEIGHBOURS % 2 == 0 ? x : -x;
}

/* The g of an argument: in [1, 2), and the same in every sample that has the argument. */
static T F(upstream)(T x)
{
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    return 1 + (T)(mixed(bits) >> 41) * (T)0x1p-23;
}

/* The unit of a gradient's error: epsilon |g| (1 + |f'(x)|), g > 0. */
static exact F(slope_unit)(T g, exact slope)
{
    return F(format).epsilon * g * (1 + (slope < 0 ? -slope : slope));
}

/* What a chunk of results should be: f(x), or g f'(x), within the format, and 1 / unit. */
struct F(target) {
    FAST(real) want[CHUNK];
    FAST(real) inverse[CHUNK];
};

/* Compare n results with their target and keep the worst. Where a definition has an infinity times
 * 0, as x sigmoid(x) has at -infinity, nothing is judged. */
static void F(judge)(const T *got, const T *x, const T *g, size_t n, const struct F(target) *target,
                     const struct F(row) *row, struct F(worst) *worst)
{
    const struct format *format = &F(format);
    for (size_t i = 0; i < n; i++) {
        FAST(real) want = target->want[i];
        FAST(real) y = FAST(within)(got[i], format);
        FAST(real) error = (y > want ? y - want : want - y) * target->inverse[i];
        if (x[i] != 0 && (error == 0 || error < worst->error - MARGIN)) {
            continue;
        }
        if (want != want && (y != y || isinf(x[i]))) {
            continue;
        }
        exact reference = g == NULL ? row->exact_value(x[i], P) : row->exact_slope(x[i], P);
        exact unit = g == NULL ? EXACT(ulp)(reference, format) : F(slope_unit)(g[i], reference);
        exact exact_want = g == NULL ? reference : g[i] * reference;
        double decided = exact_error(got[i], exact_want, unit, format);
        if (decided > worst->error) {
            worst->error = decided;
            worst->x = x[i];
        }
    }
}

static void F(measure_chunk)(const struct F(row) *row, const T *x, size_t n,
                             struct F(worst) *value, struct F(worst) *slope)
{
    T g[CHUNK], y[CHUNK], dx[CHUNK];
    struct F(target) values, slopes;
    for (size_t i = 0; i < n; i++) {
        g[i] = F(upstream)(x[i]);
        FAST(real) f = row->fast_value(x[i], P);
        FAST(real) d = row->fast_slope(x[i], P);
        values.want[i] = FAST(within)(f, &F(format));
        values.inverse[i] = 1 / FAST(ulp)(f, &F(format));
        slopes.want[i] = FAST(within)(g[i] * d, &F(format));
        slopes.inverse[i] = 1 / (F(format).epsilon * g[i] * (1 + (d < 0 ? -d : d)));
    }
    for (size_t k = 0; k < isa_count; k++) {
        row->value(isas[k], y, x, n);
        row->slope(isas[k], dx, g, x, y, n);
        F(judge)(y, x, NULL, n, &values, row, &value[k]);
        F(judge)(dx, x, g, n, &slopes, row, &slope[k]);
    }
}

static void F(measure)(const struct F(row) *row)
{
    struct F(worst) value[MOST_ISAS] = {0};
    struct F(worst) slope[MOST_ISAS] = {0};
    uint64_t total = F(sweep)() == 0 ? 0 : ANCHORED + F(sweep)();
    for (uint64_t begin = 0; begin < total; begin += CHUNK) {
        T x[CHUNK];
        size_t n = total - begin < CHUNK ? (size_t)(total - begin) : CHUNK;
        for (size_t i = 0; i < n; i++) {
            x[i] = F(argument)(begin + i);
        }
        F(measure_chunk)(row, x, n, value, slope);
    }
    for (size_t k = 0; k < isa_count && total > 0; k++) {
        printf("%s %s %s %.4f %a %.4f %a\n", row->name, sizeof(T) == 4 ? "float32" : "float64",
               label(isas[k]), value[k].error, (double)value[k].x, slope[k].error,
               (double)slope[k].x);
    }
    fflush(stdout);
}

#undef P
#undef T
#undef BITS
#undef FAST
#undef F
#undef KERNELS
#undef FORMAT
