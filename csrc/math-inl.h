/* math-inl.h: elementary functions on vectors, for one (instruction set, dtype).
 *
 * Each function is correct for every argument: infinities, NaN, subnormals, -0. By how many ulp
 * each errs, on each instruction set, stands in docs/accuracy.md, which tests/accuracy.py measures.
 *
 * Polynomials are minimax (Remez) fits in the variable and on the interval named beside them; the
 * argument reductions are those of W. J. Cody and W. Waite, Software Manual for the Elementary
 * Functions (1980), and the split forms of log and expm1 those of FDLIBM (Sun Microsystems, 1993).
 */
#ifndef TG_MATH_WORDS
#define TG_MATH_WORDS
#define vpolynomial NAME(vpolynomial)
#define vexp NAME(vexp)
#define vexpm1 NAME(vexpm1)
#define vlog NAME(vlog)
#define vlog1p NAME(vlog1p)
#define vlog2 NAME(vlog2)
#define vlog10 NAME(vlog10)
#define vsin NAME(vsin)
#define vcos NAME(vcos)
#define vtan NAME(vtan)
#define vsinh NAME(vsinh)
#define vcosh NAME(vcosh)
#define vtanh NAME(vtanh)
#define vsigmoid NAME(vsigmoid)
#define vsoftplus NAME(vsoftplus)
#define verf NAME(verf)
#define verf_slope NAME(verf_slope)
#define vnormal_cdf NAME(vnormal_cdf)
#define vnormal_pdf NAME(vnormal_pdf)
#define POLYNOMIAL(x, table) vpolynomial(x, table, sizeof(table) / sizeof(T))
#endif

#undef F32_F64
#ifdef TG_F32
#define F32_F64(single, twice) single
#else
#define F32_F64(single, twice) twice
#endif

#include "math-tables-inl.h"

/* c[0] + c[1] x + ... by Horner's rule; the loop is unrolled. */
WORD V vpolynomial(V x, const T *c, size_t count)
{
    V sum = vset(c[count - 1]);
    for (size_t i = count - 1; i > 0; i--) {
        sum = vfma(sum, x, vset(c[i - 1]));
    }
    return sum;
}

/* ---- exp ------------------------------------------------------------------------------------- */

/* x = n ln 2 + r + low, n integral, |r| <= ln(2) / 2. n ln2_high is exact: its low bits are 0. */
WORD V NAME(reduce_exp)(V x, V *n, V *low)
{
    *n = vround(x * vset(LOG2E));
    V high = vfma(*n, vset(-LN2_HIGH), x);
    V correction = *n * vset(LN2_LOW);
    V r = high - correction;
    *low = (high - r) - correction;
    return r;
}

#ifdef TG_AVX512
#include "math-lookup-inl.h" /* exp_scaled, vexp, vlog; for float vtanh */
#else

/* exp(x) * 2^k, small k. Overflow and underflow come from the last product alone, so x is cut where
 * the result is certainly infinite or 0. */
WORD V NAME(exp_scaled)(V x, V k)
{
    V n, low;
    x = vmax(vset(EXP_LEAST), vmin(vset(EXP_GREATEST), x));
    V r = NAME(reduce_exp)(x, &n, &low);
    V p = vfma(r * r, POLYNOMIAL(r, NAME(exp_table)), low) + r;
    return vscale2(p + vset(1), n + k);
}

/* e^x. */
WORD V vexp(V x)
{
    V n, low;
    x = vmax(vset(EXP_LEAST), vmin(vset(EXP_GREATEST), x));
    V r = NAME(reduce_exp)(x, &n, &low);
    V p = vfma(r * r, POLYNOMIAL(r, NAME(exp_table)), r);
    return vscale2(p + vset(1), n);
}

#endif

/* (e^x - 1) * 2^k, but for the sign of 0. With m = 2^-n the result is 2^n ((1 - m + r) + tail),
 * where the inner sum is exact when it cancels, and nothing has been rounded before it. */
WORD V NAME(expm1_scaled)(V x, V k)
{
    V n, low;
    x = vmax(vset(EXPM1_LEAST), vmin(vset(EXP_GREATEST), x));
    V r = NAME(reduce_exp)(x, &n, &low);
    V tail = vfma(r * r, POLYNOMIAL(r, NAME(exp_table)), low);
    V one_minus_m = vset(1) - vpow2(-vmin(vset(64), n));
    return vscale2((one_minus_m + r) + tail, n + k);
}

/* e^x - 1. */
WORD V vexpm1(V x)
{
    return vcopysign(NAME(expm1_scaled)(x, vzero()), x);
}

/* ---- log ------------------------------------------------------------------------------------- */

/* x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)], for finite x > 0; subnormals are scaled first. */
WORD V NAME(reduce_log)(V x, V *k)
{
#ifdef TG_AVX512
    V e = vexponent(x);
#else
    M subnormal = vlt(x, vset(LEAST_NORMAL));
    x = vselect(subnormal, x * vset(TG_INTEGER * 4), x);
    V e = vexponent(x) - vselect(subnormal, vset(TG_MANTISSA_BITS + 2), vzero());
#endif
    V m = vmantissa(x);
    M large = vgt(m, vset(SQRT2));
    *k = vselect(large, e + vset(1), e);
    return vselect(large, m * vset((T)0.5), m) - vset(1);
}

/* k ln 2 + log(1 + f + df), df given relative to 1 + f. With s = f / (2 + f), log(1 + f) is
 * 2 artanh(s) = f - f^2/2 + s (f^2/2 + R(s^2)): the leading term f enters unrounded. */
WORD V NAME(log_sum)(V k, V f, V df)
{
    V half_square = f * f * vset((T)0.5);
    V s = f / (f + vset(2));
    V z = s * s;
    V R = z * POLYNOMIAL(z, NAME(log_table));
    V tail = vfma(s, half_square + R, vfma(k, vset(LN2_LOW), df));
    return vfma(k, vset(LN2_HIGH), f - (half_square - tail));
}

#ifndef TG_AVX512

/* What a logarithm returns outside (0, inf): log(0) = -inf, log(inf) = inf, otherwise NaN. */
WORD V vlog_edges(V x, V result)
{
    M positive = vgt(x, vzero());
    V outside = vselect(veq(x, vzero()), vset((T)-INFINITY), vset((T)NAN));
    outside = vselect(positive, x, outside);
    return vselect(vand(positive, vlt(x, vset((T)INFINITY))), result, outside);
}

/* Natural logarithm. */
WORD V vlog(V x)
{
    V k;
    V f = NAME(reduce_log)(x, &k);
    return vlog_edges(x, NAME(log_sum)(k, f, vzero()));
}

#endif

/* log2(x) = k + log(1 + f) / ln 2. */
WORD V vlog2(V x)
{
    V k;
    V f = NAME(reduce_log)(x, &k);
    V log_f = NAME(log_sum)(vzero(), f, vzero());
    V scaled = vfma(log_f, vset(LOG2E), log_f * vset(LOG2E_LOW));
    return vlog_edges(x, k + scaled);
}

/* log10(x) = k log10(2) + log(1 + f) / ln 10. */
WORD V vlog10(V x)
{
    V k;
    V f = NAME(reduce_log)(x, &k);
    V log_f = NAME(log_sum)(vzero(), f, vzero());
    V scaled = vfma(log_f, vset(LOG10E), vfma(k, vset(LOG10_2_LOW), log_f * vset(LOG10E_LOW)));
    return vlog_edges(x, vfma(k, vset(LOG10_2_HIGH), scaled));
}

/* log(1 + x). What rounding 1 + x loses is given back, relative to it; where 1 + x needs no
 * reduction x itself is the f of the formula and nothing is lost. */
WORD V vlog1p(V x)
{
    V k;
    V u = x + vset(1);
    V back = u - vset(1);
    V lost = (vset(1) - (u - back)) + (x - back);
    V f = NAME(reduce_log)(u, &k);
    M direct = veq(k, vzero());
    f = vselect(direct, x, f);
    V r = NAME(log_sum)(k, f, vselect(direct, vzero(), lost / u));
    return vselect(vlt(vabs(x), vset(LEAST_NORMAL)), x, vlog_edges(u, r));
}

/* log(1 + e) for e in [0, 1]: the same without the edges. */
WORD V NAME(log1p_unit)(V e)
{
    V u = e + vset(1);
    V lost = e - (u - vset(1));
    M large = vgt(u, vset(SQRT2));
    V k = vselect(large, vset(1), vzero());
    V f = vselect(large, vfma(u, vset((T)0.5), vset(-1)), e);
    return NAME(log_sum)(k, f, vselect(large, lost / u, vzero()));
}

/* ---- Hyperbolic and logistic ----------------------------------------------------------------- */

/* sinh(x) = (t + t / (t + 1)) / 2 with t = expm1(|x|); t / 2 is used, which overflows no earlier
 * than the result. */
WORD V vsinh(V x)
{
    V half_t = NAME(expm1_scaled)(vabs(x), vset(-1));
    V t = vmin(vset(TG_INTEGER * 4), half_t + half_t);
    return vcopysign(vfma(t / (t + vset(1)), vset((T)0.5), half_t), x);
}

/* cosh(x) = (e + 1 / e) / 2 with e = exp(|x|), halved like t above. */
WORD V vcosh(V x)
{
    V half_e = NAME(exp_scaled)(vabs(x), vset(-1));
    return half_e + vset((T)0.25) / half_e;
}

#if !(defined(TG_AVX512) && defined(TG_F32))

/* tanh(x) = 1 - 2 / (exp(2 |x|) + 1), or an odd polynomial below 5/8, where that cancels. */
WORD V vtanh(V x)
{
    V a = vabs(x);
    V z = x * x;
    V small = vfma(a * z, POLYNOMIAL(z, NAME(tanh_table)), a);
    V n, low;
    V twice = vmin(vset(TANH_SATURATES), a + a);
    V r = NAME(reduce_exp)(twice, &n, &low);
    V p = vfma(r * r, POLYNOMIAL(r, NAME(exp_table)), r);
    V e = vfma(p, vpow2(n), vpow2(n));
    V large = vset(1) - vset(2) / (e + vset(1));
    return vcopysign(vselect(vlt(a, vset((T)0.625)), small, large), x);
}

#endif

/* 2^k / (1 + exp(-x)), as q = e / (1 + e) with e = exp(x) for x < 0: the exponential never
 * overflows. Below -5/8 the rounding of 1 + e would show the more; there e - e q is the same, and
 * closer. k <= 32, and 0 for x above TAIL_BEGINS; below, 1 + e is 1 with the factor too. */
WORD V NAME(sigmoid_scaled)(V x, V k)
{
    V e = NAME(exp_scaled)(-vabs(x), k);
    V q = vselect(vlt(x, vzero()), e, vset(1)) / (e + vset(1));
    return vselect(vlt(x, vset((T)-0.625)), vfma(-e, q, e), q);
}

/* 1 / (1 + exp(-x)). */
WORD V vsigmoid(V x)
{
    return NAME(sigmoid_scaled)(x, vzero());
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
WORD V vsoftplus(V x)
{
    return vmax(vzero(), x) + NAME(log1p_unit)(vexp(-vabs(x)));
}

/* ---- Trigonometric --------------------------------------------------------------------------- */

/* x = n pi/2 + r + low for |x| <= TRIG_GREATEST, |r| <= pi/4. pi/2 is the sum of three numbers of
 * full precision; x - n c1 is exact, and the rounding of the rest is kept in low, so that r is
 * right to the last bit even where x is all but a multiple of pi/2. Returns r and n modulo 4, in
 * [-2, 2]. */
WORD V NAME(reduce_trig)(V x, V *quadrant, V *low)
{
    V n = vround(x * vset(TWO_OVER_PI));
    V product = n * vset(PIO2_1);
    V first = (x - product) - vproduct_error(n, vset(PIO2_1), product);
    product = n * vset(PIO2_2);
    V second = first - product;
    V back = first - second;
    V lost = (first - (second + back)) + (back - product);
    lost = lost - vproduct_error(n, vset(PIO2_2), product);
    lost = vfma(n, vset(-PIO2_3), lost);
    V r = second + lost;
    *low = (second - r) + lost;
    *quadrant = vfma(vround(n * vset((T)0.25)), vset(-4), n);
    return r;
}

/* sin(r + low), |r| <= pi/4. */
WORD V NAME(sin_reduced)(V r, V low)
{
    V z = r * r;
    return r + vfma(r * z, POLYNOMIAL(z, NAME(sin_table)), low);
}

/* cos(r + low), |r| <= pi/4. */
WORD V NAME(cos_reduced)(V r, V low)
{
    V z = r * r;
    V half = z * vset((T)0.5);
    V high = vset(1) - half;
    V tail = (vset(1) - high) - half;
    return high + vfma(z * z, POLYNOMIAL(z, NAME(cos_table)), vfma(-r, low, tail));
}

/* The lanes of x that are too large to reduce, one by one through the C library. */
static V NAME(trig_lanes)(V x, V result, double (*f)(double))
{
    T argument[LANES];
    T value[LANES];
    vstore(argument, x);
    vstore(value, result);
    for (size_t i = 0; i < LANES; i++) {
        if (!(argument[i] <= TRIG_GREATEST && argument[i] >= -TRIG_GREATEST)) {
            value[i] = (T)f((double)argument[i]);
        }
    }
    return vload(value);
}

/* Sine. */
WORD V vsin(V x)
{
    V quadrant, low;
    V r = NAME(reduce_trig)(x, &quadrant, &low);
    M swap = veq(vabs(quadrant), vset(1));
    M negate = vor(vlt(quadrant, vzero()), vgt(quadrant, vset((T)1.5)));
    V result = vselect(swap, NAME(cos_reduced)(r, low), NAME(sin_reduced)(r, low));
    result = vselect(negate, -result, result);
    result = vselect(vlt(vabs(x), vset(TRIG_LEAST)), x, result);
    if (vany(vgt(vabs(x), vset(TRIG_GREATEST)))) {
        return NAME(trig_lanes)(x, result, sin);
    }
    return result;
}

/* Cosine. */
WORD V vcos(V x)
{
    V quadrant, low;
    V r = NAME(reduce_trig)(x, &quadrant, &low);
    M swap = veq(vabs(quadrant), vset(1));
    M negate = vor(vgt(quadrant, vset((T)0.5)), vlt(quadrant, vset((T)-1.5)));
    V result = vselect(swap, NAME(sin_reduced)(r, low), NAME(cos_reduced)(r, low));
    result = vselect(negate, -result, result);
    if (vany(vgt(vabs(x), vset(TRIG_GREATEST)))) {
        return NAME(trig_lanes)(x, result, cos);
    }
    return result;
}

/* Tangent: sin / cos, or -cos / sin in the odd quadrants. */
WORD V vtan(V x)
{
    V quadrant, low;
    V r = NAME(reduce_trig)(x, &quadrant, &low);
    M swap = veq(vabs(quadrant), vset(1));
    V s = NAME(sin_reduced)(r, low);
    V c = NAME(cos_reduced)(r, low);
    V result = vselect(swap, -c, s) / vselect(swap, s, c);
    result = vselect(vlt(vabs(x), vset(TRIG_LEAST)), x, result);
    if (vany(vgt(vabs(x), vset(TRIG_GREATEST)))) {
        return NAME(trig_lanes)(x, result, tan);
    }
    return result;
}

/* ---- The error function and the normal distribution ----------------------------------------- */

/* exp(t^2) erfc(t) for t >= 0: P(u) / (1 + 2 t), u = (t - a) / (t + a), with one division. Form:
 * M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36 (1981). */
WORD V NAME(erfcx)(V t)
{
    V p = t + vset(ERFCX_A);
    V q = vfma(t, vset(2), vset(1));
    V inverse = vset(1) / (p * q);
    V u = (t - vset(ERFCX_A)) * q * inverse;
    return POLYNOMIAL(u, NAME(erfcx_table)) * p * inverse;
}

/* exp(-x^2 scale) * 2^k, scale a power of 2, small k. The square is taken exactly: its rounding
 * error would be magnified by the size of the exponent. x^2 must not overflow. */
WORD V NAME(exp_square)(V x, V scale, V k)
{
    V square = x * x;
    V error = vproduct_error(x, x, square) * scale;
    V n, low;
    V reduced = NAME(reduce_exp)(vmax(vset(EXP_LEAST), -square * scale), &n, &low);
    V r = reduced - error;
    low = low + ((reduced - r) - error);
    V p = vfma(r * r, POLYNOMIAL(r, NAME(exp_table)), low) + r;
    return vscale2(p + vset(1), n + k);
}

/* The error function: odd polynomial below 1, 1 - erfc above. */
WORD V verf(V x)
{
    V a = vmin(vset(ERF_SATURATES), vabs(x));
    V z = a * a;
    V small = vfma(a, POLYNOMIAL(z, NAME(erf_table)), a);
    V large = vset(1) - NAME(erfcx)(a) * NAME(exp_square)(a, vset(1), vzero());
    return vcopysign(vselect(vlt(a, vset(1)), small, large), x);
}

/* The slope of erf, 2 e^(-x^2) / sqrt(pi). */
WORD V verf_slope(V x)
{
    V a = vmin(vset(NORMAL_LEAST), vabs(x));
    return NAME(exp_square)(a, vset(1), vzero()) * vset((T)1.12837916709551257);
}

/* The normal density, e^(-x^2/2) / sqrt(2 pi). */
WORD V vnormal_pdf(V x)
{
    V a = vmin(vset(NORMAL_LEAST), vabs(x));
    return NAME(exp_square)(a, vset((T)0.5), vzero()) * vset(INVERSE_SQRT_2PI);
}

/* The normal distribution function, erfc(-x / sqrt 2) / 2, with its relative precision in the
 * tail; times 2^k, which must be 0 for x above NORMAL_TAIL_BEGINS. */
WORD V NAME(normal_cdf_scaled)(V x, V k)
{
    V a = vmin(vset(NORMAL_LEAST), vabs(x));
    V e = NAME(exp_square)(a, vset((T)0.5), k);
    V tail = NAME(erfcx)(a * vset(INVERSE_SQRT2)) * e * vset((T)0.5);
    return vselect(vgt(x, vzero()), vset(1) - tail, tail);
}

WORD V vnormal_cdf(V x)
{
    return NAME(normal_cdf_scaled)(x, vzero());
}
