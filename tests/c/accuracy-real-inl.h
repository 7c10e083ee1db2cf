/* accuracy-real-inl.h: the references and the measure of an error, in one type of real numbers;
 * see accuracy.c. Included with REAL (the type), R and K (its functions and constants, as
 * reference.def wants them) and S (which mangles a name) defined. */
typedef REAL S(real);

#define REFERENCE(name, value, slope, ulp) \
    static REAL S(value_##name)(REAL x, REAL p) { (void)p; return value; } \
    static REAL S(slope_##name)(REAL x, REAL p) { (void)p, (void)x; return slope; }
#include "reference.def"

/* The ulp of a number: 2^(e-p+1) in [2^e, 2^(e+1)), p the digits of the format, and never below the
 * least subnormal or above that of the greatest number. */
static REAL S(ulp)(REAL x, const struct format *format)
{
    int exponent = 0;
    (void)R(frexp)(x, &exponent);
    exponent = exponent < format->greatest ? exponent : format->greatest;
    exponent = exponent > format->least ? exponent : format->least;
    return R(ldexp)(1, exponent - format->digits);
}

/* What overflows a format is measured as if there were one exponent more: infinity stands for the
 * power of two after the greatest number. */
static REAL S(within)(REAL x, const struct format *format)
{
    REAL beyond = format->beyond;
    return x > beyond ? beyond : x < -beyond ? -beyond : x;
}

#undef REAL
#undef R
#undef K
#undef S
