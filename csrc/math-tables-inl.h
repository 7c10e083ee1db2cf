/* math-tables-inl.h: the constants of math-inl.h, for float and for double.
 *
 * Each polynomial is the minimax (Remez) approximation, in relative error of the final function, on
 * the interval given; the exponent of the error is the reason for its degree. */
#ifndef TG_MATH_CONSTANTS
#define TG_MATH_CONSTANTS
#define LOG2E F32_F64(1.44269504f, 1.4426950408889634)
#define LOG2E_LOW F32_F64(1.92596303e-8f, 2.0355273740931033e-17)
#define LN2_HIGH F32_F64(0.693145751953125f, 0x1.62e42fefa3000p-1)
#define LN2_LOW F32_F64(1.42860677e-6f, 2.8235290563031577e-13)
#define LOG10E F32_F64(0.434294492f, 0.4342944819032518)
#define LOG10E_LOW F32_F64(-1.01034601e-8f, 1.098319650216765e-17)
#define LOG10_2_HIGH F32_F64(0.301025390625f, 0x1.34413509f7000p-2)
#define LOG10_2_LOW F32_F64(4.60503907e-6f, 1.42050232272661e-13)
#define EXP_LEAST F32_F64(-150.0f, -800.0)      /* below, exp is 0, and 2^32 exp too */
#define EXP_GREATEST F32_F64(90.0f, 711.5)      /* above, exp, sinh and cosh are infinite */
#define EXPM1_LEAST F32_F64(-20.0f, -40.0)      /* below, expm1 is -1 */
#define LEAST_NORMAL F32_F64(FLT_MIN, DBL_MIN)
#define SQRT2 F32_F64(1.41421356f, 1.4142135623730951)
#define TANH_SATURATES F32_F64(20.0f, 44.0)     /* twice the argument from which tanh is 1 */
#define TWO_OVER_PI F32_F64(0.636619772f, 0.6366197723675814)
#define PIO2_1 F32_F64(0x1.921fb6p+0f, 0x1.921fb54442d18p+0)
#define PIO2_2 F32_F64(-0x1.777a5cp-25f, 0x1.1a62633145c07p-54)
#define PIO2_3 F32_F64(-0x1.ee59dap-50f, -0x1.f1976b7ed8fbcp-110)
#define TRIG_LEAST F32_F64(0x1p-13f, 0x1p-27)   /* below, sin x = x to the last bit, nearly */
#define TRIG_GREATEST F32_F64(65536.0f, 1073741824.0)
#define ERFCX_A F32_F64(3.0f, 4.0)
#define ERF_SATURATES F32_F64(4.0f, 6.0)        /* above, erf is 1 */
#define NORMAL_LEAST F32_F64(18.0f, 42.0)       /* below minus this, the normal cdf is 0 */
#define TAIL_BEGINS F32_F64(-64.0f, -64.0)      /* below, 1 + 2^32 exp is 1 */
#define NORMAL_TAIL_BEGINS F32_F64(-11.5f, -11.5) /* the same of exp(-x^2 / 2) */
#define INVERSE_SQRT2 F32_F64(0.707106781f, 0.7071067811865476)
#define INVERSE_SQRT_2PI F32_F64(0.39894228f, 0.3989422804014327)
#endif

#ifdef TG_F32

/* (e^r - 1 - r) / r^2, |r| <= ln(2) / 2: 2^-31. */
static const float NAME(exp_table)[] = {
    5.e-01f, 1.6666667e-01f, 4.166638e-02f, 8.333275e-03f, 1.3939475e-03f, 1.9913008e-04f,
};

/* (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, |s| <= 3 - sqrt(8): 2^-30. */
static const float NAME(log_table)[] = {
    6.6666776e-01f, 3.9977497e-01f, 2.9873073e-01f,
};

/* (tanh x - x) / x^3 in x^2, |x| <= 5/8: 2^-32. */
static const float NAME(tanh_table)[] = {
    -3.333333e-01f, 1.3333206e-01f, -5.394675e-02f, 2.170062e-02f, -8.177185e-03f, 2.1427607e-03f,
};

/* (sin r - r) / r^3 in r^2, |r| <= pi/4: 2^-28. */
static const float NAME(sin_table)[] = {
    -1.6666655e-01f, 8.332156e-03f, -1.9514632e-04f,
};

/* (cos r - 1 + r^2/2) / r^4 in r^2, |r| <= pi/4: 2^-33. */
static const float NAME(cos_table)[] = {
    4.1666646e-02f, -1.3887362e-03f, 2.4437752e-05f,
};

/* erf(x) / x - 1 in x^2, |x| <= 1: 2^-34. */
static const float NAME(erf_table)[] = {
    1.2837917e-01f, -3.7612638e-01f, 1.1283782e-01f, -2.68654e-02f, 5.2209455e-03f,
    -8.4828294e-04f, 1.12569505e-04f, -9.641524e-06f,
};

/* (1 + 2 t) exp(t^2) erfc(t) in (t - 3) / (t + 3), 0 <= t <= 10.5: 2^-28. */
static const float NAME(erfcx_table)[] = {
    1.253008e+00f, -1.3562115e-01f, -4.7562443e-02f, 1.2964648e-01f, -1.1927024e-01f,
    6.829577e-02f, -2.3801517e-02f, 2.5639485e-03f, 2.0077e-03f, -7.6786673e-04f,
    -2.64357e-04f,
};

#else

/* As above: 2^-61. */
static const double NAME(exp_table)[] = {
    0.5, 0.16666666666666674, 0.0416666666666667, 0.008333333333322744, 0.0013888888888868834,
    0.00019841269883590697, 2.48015873573869e-05, 2.7557246540397877e-06,
    2.755724502366173e-07, 2.510828753300559e-08, 2.092384335919935e-09,
};

/* As above: 2^-59. */
static const double NAME(log_table)[] = {
    0.6666666666666735, 0.3999999999941108, 0.2857142874326594, 0.22222198475690755,
    0.1818356975297632, 0.15313902961785786, 0.1479751009804191,
};

/* As above: 2^-61. */
static const double NAME(tanh_table)[] = {
    -0.33333333333333315, 0.13333333333329736, -0.05396825396605503, 0.021869488468609605,
    -0.00886323431090561, 0.003592113983287111, -0.0014557258405965942, 0.0005894513370719425,
    -0.0002370104247147684, 9.155608009109069e-05, -3.018483506984046e-05,
    6.0414033263357375e-06,
};

/* As above: 2^-57. */
static const double NAME(sin_table)[] = {
    -0.1666666666666663, 0.008333333333322005, -0.00019841269829495248, 2.7557313587546417e-06,
    -2.505074229828491e-08, 1.5895904270790607e-10,
};

/* As above: 2^-64. */
static const double NAME(cos_table)[] = {
    0.0416666666666666, -0.001388888888887399, 2.4801587289395008e-05, -2.755731432605479e-07,
    2.0875719562081004e-09, -1.135944885885442e-11,
};

/* As above: 2^-68. */
static const double NAME(erf_table)[] = {
    0.1283791670955126, -0.37612638903183754, 0.11283791670955119, -0.026866170645129733,
    0.005223977625422086, -0.0008548327021853195, 0.00012055332899357575,
    -1.4925647465104806e-05, 1.646204340749968e-06, -1.6364614417095528e-07,
    1.4792145709740511e-08, -1.2163041650444557e-09, 8.703788888656775e-11,
    -4.222894688881211e-12,
};

/* The same in (t - 4) / (t + 4), 0 <= t <= 28: 2^-56. */
static const double NAME(erfcx_table)[] = {
    1.2329951186255526, -0.1396211168405629, 0.015379652102619764, 0.06809705425473661,
    -0.10103906603630115, 0.09373283499682361, -0.06633036581256412, 0.03716751556185487,
    -0.016197734048421553, 0.005031969763553969, -0.0007577734048808362,
    -0.00019925556120290204, 0.000150622471644582, -2.4402941657079187e-05,
    -1.1225283208148072e-05, 5.717295469406539e-06, 3.0195663859654743e-07,
    -8.342405818722413e-07, 6.238890168457952e-08, 1.1456136419203822e-07,
    -7.778807812914304e-09, -1.3386257019337791e-08, -1.717632606856546e-09,
};

#endif
