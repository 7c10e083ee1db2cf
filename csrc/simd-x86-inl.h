/* simd-x86-inl.h: the words of SSE2, AVX2 + FMA and AVX-512 (F, DQ, BW, VL); see simd-inl.h.
 *
 * The intrinsics of one width differ in prefix and suffix only: I(add) is _mm256_add_ps, J(slli) is
 * _mm256_slli_epi32, and one text serves float and double. */
#undef I
#undef TG_VECTOR_BYTES
#undef J
#ifdef TG_AVX512
#define TG_VECTOR_BYTES 64
#ifdef TG_F32
#define I(op) _mm512_##op##_ps
#define J(op) _mm512_##op##_epi32
typedef __m512i NAME(bits);
typedef __m512 V;
typedef __mmask16 M;
#else
#define I(op) _mm512_##op##_pd
#define J(op) _mm512_##op##_epi64
typedef __m512i NAME(bits);
typedef __m512d V;
typedef __mmask8 M;
#endif
#elif defined(TG_AVX2)
typedef __m256i NAME(bits);
#define TG_VECTOR_BYTES 32
#ifdef TG_F32
#define I(op) _mm256_##op##_ps
#define J(op) _mm256_##op##_epi32
typedef __m256 V;
#else
#define I(op) _mm256_##op##_pd
#define J(op) _mm256_##op##_epi64
typedef __m256d V;
#endif
typedef V M;
#else
typedef __m128i NAME(bits);
#define TG_VECTOR_BYTES 16
#ifdef TG_F32
#define I(op) _mm_##op##_ps
#define J(op) _mm_##op##_epi32
typedef __m128 V;
#else
#define I(op) _mm_##op##_pd
#define J(op) _mm_##op##_epi64
typedef __m128d V;
#endif
typedef V M;
#endif

WORD V vset(T s)
{
    return I(set1)(s);
}

WORD V vload(const T *p)
{
    return I(loadu)(p);
}

WORD void vstore(T *p, V v)
{
    I(storeu)(p, v);
}

WORD V vmin(V a, V b)
{
    return I(min)(a, b);
}

WORD V vmax(V a, V b)
{
    return I(max)(a, b);
}

WORD V vsqrt(V x)
{
    return I(sqrt)(x);
}

WORD V vbits_and(V a, V b)
{
    return I(and)(a, b);
}

WORD V vbits_or(V a, V b)
{
    return I(or)(a, b);
}

/* The bits of b that are not in a. */
WORD V vbits_andnot(V a, V b)
{
    return I(andnot)(a, b);
}

WORD V vbits_shl(V x, int count)
{
    return (V)J(slli)((NAME(bits))x, count);
}

WORD V vbits_shr(V x, int count)
{
    return (V)J(srli)((NAME(bits))x, count);
}

WORD V vabs(V x)
{
    return vbits_andnot(vset((T)-0.0), x);
}

WORD V vfma(V a, V b, V c)
{
#ifdef TG_SSE2
    return a * b + c;
#else
    return I(fmadd)(a, b, c);
#endif
}

/* To the nearest integer, ties to even; on SSE2 |x| <= 2^22 or 2^51, which is all we need. */
WORD V vround(V x)
{
#if defined(TG_AVX512)
    return I(roundscale)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(TG_AVX2)
    return I(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    V magic = vset(TG_INTEGER + TG_INTEGER / 2);
    return (x + magic) - magic;
#endif
}

/* ---- Masks ----------------------------------------------------------------------------------- */

#undef COMPARE
#ifdef TG_AVX512
#ifdef TG_F32
#define COMPARE(a, b, avx, sse) _mm512_cmp_ps_mask(a, b, avx)
#else
#define COMPARE(a, b, avx, sse) _mm512_cmp_pd_mask(a, b, avx)
#endif
#elif defined(TG_AVX2)
#define COMPARE(a, b, avx, sse) I(cmp)(a, b, avx)
#else
#define COMPARE(a, b, avx, sse) I(sse)(a, b)
#endif

WORD M vlt(V a, V b)
{
    return COMPARE(a, b, _CMP_LT_OQ, cmplt);
}

WORD M vle(V a, V b)
{
    return COMPARE(a, b, _CMP_LE_OQ, cmple);
}

WORD M veq(V a, V b)
{
    return COMPARE(a, b, _CMP_EQ_OQ, cmpeq);
}

WORD M vgt(V a, V b)
{
    return COMPARE(a, b, _CMP_GT_OQ, cmpgt);
}

WORD M vge(V a, V b)
{
    return COMPARE(a, b, _CMP_GE_OQ, cmpge);
}

#ifdef TG_AVX512

WORD M vnot(M m)
{
    return (M)~m;
}

WORD M vand(M a, M b)
{
    return (M)(a & b);
}

WORD M vor(M a, M b)
{
    return (M)(a | b);
}

WORD int vany(M m)
{
    return m != 0;
}

WORD V vselect(M m, V a, V b)
{
    return I(mask_blend)(m, b, a);
}

WORD V vload_n(const T *p, size_t n)
{
    return I(maskz_loadu)((M)((1u << n) - 1), p);
}

WORD void vstore_n(T *p, V v, size_t n)
{
    I(mask_storeu)(p, (M)((1u << n) - 1), v);
}

WORD V vpow2(V n)
{
    return I(scalef)(vset(1), n);
}

WORD V vscale2(V x, V n)
{
    return I(scalef)(x, n);
}

WORD V vexponent(V x)
{
    return I(getexp)(x);
}

WORD V vmantissa(V x)
{
    return I(getmant)(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

/* x times the power of 2 that brings it into [3/4, 3/2), for finite x > 0. */
WORD V vmantissa_near_1(V x)
{
    return I(getmant)(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
}

/* Elements of a table of 2 * LANES, their numbers in the last bits of `number`. */
WORD V vlookup(const T *table, V number)
{
    return I(permutex2var)(vload(table), (NAME(bits))number, vload(table + LANES));
}

/* What a logarithm returns outside (0, inf), the result inside. The hexadecimal digits, last first,
 * say what becomes of a quiet and a signalling NaN (2: it stays), 0 (4: -inf), 1 (0: the result),
 * -inf (3: NaN), inf (5: inf), negative (3) and positive numbers (0). */
WORD V vlog_edges(V x, V result)
{
    return I(fixupimm)(result, x, J(set1)(0x03530422), 0);
}

#else

WORD M vnot(M m)
{
    return I(andnot)(m, COMPARE(vset(0), vset(0), _CMP_EQ_OQ, cmpeq));
}

WORD M vand(M a, M b)
{
    return I(and)(a, b);
}

WORD M vor(M a, M b)
{
    return I(or)(a, b);
}

WORD int vany(M m)
{
    return I(movemask)(m) != 0;
}

WORD V vselect(M m, V a, V b)
{
#ifdef TG_AVX2
    return I(blendv)(b, a, m);
#else
    return I(or)(I(and)(m, a), I(andnot)(m, b));
#endif
}

#ifdef TG_AVX2

/* All ones in the first n lanes. */
WORD __m256i NAME(first)(size_t n)
{
#ifdef TG_F32
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#else
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((int64_t)n), _mm256_setr_epi64x(0, 1, 2, 3));
#endif
}

WORD V vload_n(const T *p, size_t n)
{
    return I(maskload)(p, NAME(first)(n));
}

WORD void vstore_n(T *p, V v, size_t n)
{
    I(maskstore)(p, NAME(first)(n), v);
}

#else

WORD V vload_n(const T *p, size_t n)
{
    T lane[LANES] = {0};
    for (size_t i = 0; i < LANES; i++) {
        if (i < n) {
            lane[i] = p[i];
        }
    }
    return vload(lane);
}

WORD void vstore_n(T *p, V v, size_t n)
{
    T lane[LANES];
    vstore(lane, v);
    for (size_t i = 0; i < LANES; i++) {
        if (i < n) {
            p[i] = lane[i];
        }
    }
}

#endif
#endif
