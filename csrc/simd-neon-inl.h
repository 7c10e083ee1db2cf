/* simd-neon-inl.h: the words of Advanced SIMD on AArch64; see simd-inl.h. */
#undef TG_VECTOR_BYTES
#undef I
#define TG_VECTOR_BYTES 16
#ifdef TG_F32
#define I(op) v##op##q_f32
typedef float32x4_t V;
typedef uint32x4_t M;
#else
#define I(op) v##op##q_f64
typedef float64x2_t V;
typedef uint64x2_t M;
#endif

WORD V vset(T s)
{
#ifdef TG_F32
    return vdupq_n_f32(s);
#else
    return vdupq_n_f64(s);
#endif
}

WORD V vload(const T *p)
{
    return I(ld1)(p);
}

WORD void vstore(T *p, V v)
{
    I(st1)(p, v);
}

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

WORD V vfma(V a, V b, V c)
{
    return I(fma)(c, a, b);
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

WORD V vround(V x)
{
    return I(rndn)(x);
}

WORD V vabs(V x)
{
    return I(abs)(x);
}

WORD M vlt(V a, V b)
{
    return I(clt)(a, b);
}

WORD M vle(V a, V b)
{
    return I(cle)(a, b);
}

WORD M veq(V a, V b)
{
    return I(ceq)(a, b);
}

WORD M vgt(V a, V b)
{
    return I(cgt)(a, b);
}

WORD M vge(V a, V b)
{
    return I(cge)(a, b);
}

WORD M vnot(M m)
{
    return ~m;
}

WORD M vand(M a, M b)
{
    return a & b;
}

WORD M vor(M a, M b)
{
    return a | b;
}

WORD int vany(M m)
{
    return vmaxvq_u32((uint32x4_t)m) != 0;
}

WORD V vselect(M m, V a, V b)
{
    return I(bsl)(m, a, b);
}

WORD V vbits_and(V a, V b)
{
    return (V)((M)a & (M)b);
}

WORD V vbits_or(V a, V b)
{
    return (V)((M)a | (M)b);
}

WORD V vbits_andnot(V a, V b)
{
    return (V)(~(M)a & (M)b);
}

WORD V vbits_shl(V x, int count)
{
    return (V)((M)x << count);
}

WORD V vbits_shr(V x, int count)
{
    return (V)((M)x >> count);
}
