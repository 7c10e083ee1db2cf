/* simd-inl.h: the vector words, for one (instruction set, dtype).
 *
 * Included with T, TG_F32 or TG_F64, NAME and one of TG_AVX512, TG_AVX2, TG_SSE2, TG_NEON,
 * TG_SCALAR defined. V holds LANES elements of T, M is the result of a comparison; + - * / and
 * unary - on V are the C operators. Every word is a small function inlined into its caller, and
 * its name here is a macro for the mangled name: f32 and f64 live in one file.
 *
 * NaN: vmin(a, b) and vmax(a, b) are NaN where b is (where only a is, x86 gives b, ARM gives NaN).
 * Partial loads and stores take n <= LANES and touch no memory beyond element n. vlookup,
 * vmantissa_near_1 and vlog_edges are AVX-512's alone; vlog_edges has its twin in math-inl.h. */
#ifndef TG_SIMD_WORDS
#define TG_SIMD_WORDS
#define V NAME(V)
#define M NAME(M)
#define LANES (TG_VECTOR_BYTES / sizeof(T))
#define vset NAME(vset)
#define vzero NAME(vzero)
#define vload NAME(vload)
#define vstore NAME(vstore)
#define vload_n NAME(vload_n)
#define vstore_n NAME(vstore_n)
#define vfma NAME(vfma)
#define vmin NAME(vmin)
#define vmax NAME(vmax)
#define vsqrt NAME(vsqrt)
#define vround NAME(vround)
#define vabs NAME(vabs)
#define vcopysign NAME(vcopysign)
#define vlt NAME(vlt)
#define vle NAME(vle)
#define veq NAME(veq)
#define vgt NAME(vgt)
#define vge NAME(vge)
#define vnot NAME(vnot)
#define vand NAME(vand)
#define vor NAME(vor)
#define vany NAME(vany)
#define vselect NAME(vselect)
#define vpow2 NAME(vpow2)
#define vscale2 NAME(vscale2)
#define vexponent NAME(vexponent)
#define vmantissa NAME(vmantissa)
#define vmantissa_near_1 NAME(vmantissa_near_1)
#define vlookup NAME(vlookup)
#define vlog_edges NAME(vlog_edges)
#define vproduct_error NAME(vproduct_error)
#define vhsum NAME(vhsum)
#define vhmax NAME(vhmax)
#define vbits_and NAME(vbits_and)
#define vbits_or NAME(vbits_or)
#define vbits_andnot NAME(vbits_andnot)
#define vbits_shl NAME(vbits_shl)
#define vbits_shr NAME(vbits_shr)
#endif

#undef TG_MANTISSA_BITS
#undef TG_EXPONENT_BIAS
#undef TG_INTEGER
#ifdef TG_F32
#define TG_MANTISSA_BITS 23
#define TG_EXPONENT_BIAS 127
#define TG_INTEGER ((T)8388608)
#else
#define TG_MANTISSA_BITS 52
#define TG_EXPONENT_BIAS 1023
#define TG_INTEGER ((T)4503599627370496.0) /* 2^52: a sum with it is rounded to an integer */
#endif

#if defined(TG_AVX512) || defined(TG_AVX2) || defined(TG_SSE2)
#include "simd-x86-inl.h"
#elif defined(TG_NEON)
#include "simd-neon-inl.h"
#else
#include "simd-scalar-inl.h"
#endif

/* ---- Words that follow from the others ------------------------------------------------------- */

WORD V vzero(void)
{
    return vset(0);
}

/* The mantissa's magnitude with the sign of the other. */
WORD V vcopysign(V magnitude, V sign)
{
    V minus = vset((T)-0.0);
    return vbits_or(vbits_and(minus, sign), vbits_andnot(minus, magnitude));
}

#ifndef TG_AVX512

/* 2^n for integral n in [-126, 127] or [-1022, 1023]. Adding 1.5 * 2^52 puts n + bias into the low
 * bits of the sum; shifted up they are the exponent of the result. */
WORD V vpow2(V n)
{
    T magic = TG_INTEGER + TG_INTEGER / 2 + TG_EXPONENT_BIAS;
    return vbits_shl(n + vset(magic), TG_MANTISSA_BITS);
}

/* x * 2^n for integral n, |n| <= 2 * bias; |x| in [2^-2, 2^2]. Rounds once, to subnormals and to
 * infinity too: the first product is exact, since half of n cannot leave the normal range. */
WORD V vscale2(V x, V n)
{
    V half = vround(n * vset((T)0.5));
    return x * vpow2(half) * vpow2(n - half);
}

/* floor(log2 x) for positive normal x. */
WORD V vexponent(V x)
{
    V biased = vbits_or(vbits_shr(x, TG_MANTISSA_BITS), vset(TG_INTEGER));
    return biased - vset(TG_INTEGER + TG_EXPONENT_BIAS);
}

/* x / 2^vexponent(x), in [1, 2), for positive normal x. */
WORD V vmantissa(V x)
{
    return vbits_or(vbits_andnot(vset((T)INFINITY), x), vset(1));
}

#endif

/* a * b - p exactly, where p is the rounded product: Dekker's product (Numerische Mathematik 18,
 * 1971) where there is no fused multiply-add. No overflow allowed. */
WORD V vproduct_error(V a, V b, V p)
{
#if defined(TG_SSE2) || defined(TG_SCALAR)
    V split = vset((T)(((int64_t)1 << ((TG_MANTISSA_BITS + 2) / 2)) + 1));
    V ta = a * split;
    V tb = b * split;
    V a_high = ta - (ta - a);
    V b_high = tb - (tb - b);
    V a_low = a - a_high;
    V b_low = b - b_high;
    return ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low;
#else
    return vfma(a, b, -p);
#endif
}

/* The sum of the lanes, by halves: always in the same order. */
WORD T vhsum(V v)
{
    T lane[LANES];
    vstore(lane, v);
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            lane[i] += lane[i + width];
        }
    }
    return lane[0];
}

/* The greatest lane; NaN when any is. */
WORD T vhmax(V v)
{
    T lane[LANES];
    vstore(lane, v);
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            int keep = lane[i] > lane[i + width] || lane[i] != lane[i];
            lane[i] = keep ? lane[i] : lane[i + width];
        }
    }
    return lane[0];
}
