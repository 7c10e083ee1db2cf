/* elementwise-inl.h: the loops of ops.def, for one (instruction set, dtype).
 *
 * A row's expressions become two small vector functions, and these are handed to a loop that is
 * inlined with them: one pass over memory, also for a gradient. Two vectors are in flight so that
 * the latencies of one hide in the other; the last, partial one goes through the same function, so
 * a result depends on its element alone, not on where a range was split. */

/* ---- Rows that need words -------------------------------------------------------------------- */

/* -1, 1, or x itself where it is 0 or NaN. */
WORD V NAME(sign)(V x)
{
    return vselect(vgt(x, vzero()), vset(1), vselect(vlt(x, vzero()), vset(-1), x));
}

/* x f(x) where f ends in a tail that is subnormal while x f(x) is not: f is computed times 2^32
 * there, so that it has all its digits, and the product takes the factor back in its one rounding.
 * The exponent of the factor: */
WORD V NAME(tail_exponent)(V x, T begins)
{
    return vselect(vlt(x, vset(begins)), vset(32), vzero());
}

/* x f, where f carries the factor. */
WORD V NAME(times_tail)(V x, V f, T begins)
{
    return x * f * vselect(vlt(x, vset(begins)), vset((T)0x1p-32), vset(1));
}

/* x sigmoid(x). */
WORD V NAME(silu_value)(V x)
{
    V s = NAME(sigmoid_scaled)(x, NAME(tail_exponent)(x, TAIL_BEGINS));
    return NAME(times_tail)(x, s, TAIL_BEGINS);
}

/* sigmoid(x), and 1 - sigmoid(x) = sigmoid(-x) to its own precision. */
WORD V NAME(sigmoid_pair)(V x, V *complement)
{
    V e = vexp(-vabs(x));
    V large = vset(1) / (e + vset(1));
    V small = e * large;
    M negative = vlt(x, vzero());
    *complement = vselect(negative, large, small);
    return vselect(negative, small, large);
}

/* d/dx x s(x) = s + x s (1 - s), s = sigmoid(x), y = x s. */
WORD V NAME(silu_slope)(V x, V y)
{
    V complement;
    V s = NAME(sigmoid_pair)(x, &complement);
    return vfma(y, complement, s);
}

/* mish(x) = x tanh(softplus(x)) = x tanh(log(1 + e)), e = exp(x), and tanh(log(1 + e)) is
 * w / (w + 2) with w = e (e + 2): 1 long before e overflows, and already at: */
#define MISH_SATURATES ((T)(40 * TG_MANTISSA_BITS / 52))

WORD V NAME(mish_value)(V x)
{
    V k = NAME(tail_exponent)(x, TAIL_BEGINS);
    V e = NAME(exp_scaled)(vmin(vset(MISH_SATURATES), x), k);
    V w = e * (e + vset(2));
    return NAME(times_tail)(x, w / (w + vset(2)), TAIL_BEGINS);
}

/* t + x (1 - t^2) sigmoid(x), where (1 - t^2) sigmoid(x) = 4 e (1 + e) / (w + 2)^2. */
WORD V NAME(mish_slope)(V x)
{
    x = vmin(vset(MISH_SATURATES), x);
    V e = vexp(x);
    V w = e * (e + vset(2));
    V inverse = vset(1) / (w + vset(2));
    V bend = vset(4) * (e * inverse) * ((e + vset(1)) * inverse);
    return vfma(x, bend, w * inverse);
}

#undef MISH_SATURATES

/* x Phi(x), Phi the normal distribution function. */
WORD V NAME(gelu_value)(V x)
{
    V k = NAME(tail_exponent)(x, NORMAL_TAIL_BEGINS);
    return NAME(times_tail)(x, NAME(normal_cdf_scaled)(x, k), NORMAL_TAIL_BEGINS);
}

/* d/dx x Phi(x) = Phi(x) + x phi(x). */
WORD V NAME(gelu_slope)(V x)
{
    return vfma(x, vnormal_pdf(x), vnormal_cdf(x));
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3): 2 u. */
WORD V NAME(gelu_tanh_argument)(V x)
{
    V cubic = vfma(x * x, vset((T)0.044715), vset(1));
    return x * cubic * vset((T)1.59576912160573071);
}

/* s + x s (1 - s) d(2 u)/dx, y = x s. Where x^2 is cut, s or 1 - s is 0. */
WORD V NAME(gelu_tanh_slope)(V x, V y)
{
    V complement;
    V s = NAME(sigmoid_pair)(NAME(gelu_tanh_argument)(x), &complement);
    V square = vmin(vset(10000), x * x);
    V du = vfma(square, vset((T)(3 * 0.044715)), vset(1)) * vset((T)1.59576912160573071);
    return vfma(y * complement, du, s);
}

#define SELU_SCALE ((T)1.0507009873554804934193349852946)
#define SELU_SCALE_ALPHA ((T)1.7580993408473768599402175208123)

/* scale x for x > 0, scale alpha (e^x - 1) otherwise. Klambauer et al., NIPS 2017. */
WORD V NAME(selu_value)(V x)
{
    V below = vset(SELU_SCALE_ALPHA) * vexpm1(x);
    return vselect(vgt(x, vzero()), vset(SELU_SCALE) * x, below);
}

WORD V NAME(selu_slope)(V x)
{
    V below = vset(SELU_SCALE_ALPHA) * vexp(x);
    return vselect(vgt(x, vzero()), vset(SELU_SCALE), below);
}

#undef SELU_SCALE
#undef SELU_SCALE_ALPHA

/* ---- The loops ------------------------------------------------------------------------------- */

struct NAME(elementwise) {
    T *out;
    const T *g;
    const T *x;
    const T *y;
    T p;
};

typedef V (*NAME(value))(V x, V p);
typedef V (*NAME(slope))(V g, V x, V y, V p);

/* out[i] = f(x[i]) for i in [begin, end). */
WORD void NAME(map_value)(void *context, size_t begin, size_t end, NAME(value) f)
{
    const struct NAME(elementwise) *job = context;
    V p = vset(job->p);
    const T *x = job->x;
    T *out = job->out;
    size_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
        V first = f(vload(x + i), p);
        V second = f(vload(x + i + LANES), p);
        vstore(out + i, first);
        vstore(out + i + LANES, second);
    }
    for (; i < end; i += LANES) {
        size_t n = tg_min(LANES, end - i);
        vstore_n(out + i, f(vload_n(x + i, n), p), n);
    }
}

/* out[i] = f(g[i], x[i], y[i]) for i in [begin, end). */
WORD void NAME(map_slope)(void *context, size_t begin, size_t end, NAME(slope) f)
{
    const struct NAME(elementwise) *job = context;
    V p = vset(job->p);
    const T *g = job->g;
    const T *x = job->x;
    const T *y = job->y;
    T *out = job->out;
    size_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
        size_t k = i + LANES;
        V first = f(vload(g + i), vload(x + i), vload(y + i), p);
        V second = f(vload(g + k), vload(x + k), vload(y + k), p);
        vstore(out + i, first);
        vstore(out + k, second);
    }
    for (; i < end; i += LANES) {
        size_t n = tg_min(LANES, end - i);
        vstore_n(out + i, f(vload_n(g + i, n), vload_n(x + i, n), vload_n(y + i, n), p), n);
    }
}

WORD int NAME(run_value)(T *out, const T *x, T p, size_t n, tg_task task)
{
    struct NAME(elementwise) job = {out, NULL, x, NULL, p};
    tg_parallel_for(n, TG_GRAIN, task, &job);
    return TG_OK;
}

WORD int NAME(run_slope)(T *dx, const T *g, const T *x, const T *y, T p, size_t n, tg_task task)
{
    struct NAME(elementwise) job = {dx, g, x, y, p};
    tg_parallel_for(n, TG_GRAIN, task, &job);
    return TG_OK;
}

/* ---- From each row: the vector function, the task of a range, the kernel --------------------- */

#define VALUE(op) static void NAME(op##_task)(void *c, size_t begin, size_t end) \
    { NAME(map_value)(c, begin, end, NAME(op##_of)); }
#define SLOPE(op) static void NAME(op##_grad_task)(void *c, size_t begin, size_t end) \
    { NAME(map_slope)(c, begin, end, NAME(op##_grad_of)); }

#define UNARY(op, f, d) WORD V NAME(op##_of)(V x, V p) { (void)p; return f; }
#define UNARY1(op, f, d) WORD V NAME(op##_of)(V x, V p) { return f; }
#include "ops.def"
#define UNARY(op, f, d) WORD V NAME(op##_grad_of)(V g, V x, V y, V p) \
    { (void)g, (void)x, (void)y, (void)p; return d; }
#define UNARY1 UNARY
#include "ops.def"
#define UNARY(op, f, d) VALUE(op) SLOPE(op)
#define UNARY1 UNARY
#include "ops.def"
#define UNARY(op, f, d) static int NAME(op)(T *y, const T *x, size_t n) \
    { return NAME(run_value)(y, x, 0, n, NAME(op##_task)); }
#define UNARY1(op, f, d) static int NAME(op)(T *y, const T *x, T p, size_t n) \
    { return NAME(run_value)(y, x, p, n, NAME(op##_task)); }
#include "ops.def"
#define UNARY(op, f, d) \
    static int NAME(op##_grad)(T *dx, const T *g, const T *x, const T *y, size_t n) \
    { return NAME(run_slope)(dx, g, x, y, 0, n, NAME(op##_grad_task)); }
#define UNARY1(op, f, d) \
    static int NAME(op##_grad)(T *dx, const T *g, const T *x, const T *y, T p, size_t n) \
    { return NAME(run_slope)(dx, g, x, y, p, n, NAME(op##_grad_task)); }
#include "ops.def"

#undef VALUE
#undef SLOPE
