/* simd-scalar-inl.h: the words on one lane, for machines and compilers we know nothing about; see
 * simd-inl.h. Every kernel compiles to plain C then. */
#undef TG_VECTOR_BYTES
#define TG_VECTOR_BYTES sizeof(T)
typedef T V;
typedef int M;
#ifdef TG_F32
typedef uint32_t NAME(bits);
#else
typedef uint64_t NAME(bits);
#endif

WORD NAME(bits) NAME(to_bits)(V x)
{
    NAME(bits) b;
    memcpy(&b, &x, sizeof b);
    return b;
}

WORD V NAME(from_bits)(NAME(bits) b)
{
    V x;
    memcpy(&x, &b, sizeof x);
    return x;
}

WORD V vset(T s)
{
    return s;
}

WORD V vload(const T *p)
{
    return *p;
}

WORD void vstore(T *p, V v)
{
    *p = v;
}

WORD V vload_n(const T *p, size_t n)
{
    return n > 0 ? *p : 0;
}

WORD void vstore_n(T *p, V v, size_t n)
{
    if (n > 0) {
        *p = v;
    }
}

WORD V vfma(V a, V b, V c)
{
    return a * b + c;
}

WORD V vmin(V a, V b)
{
    return a < b ? a : b;
}

WORD V vmax(V a, V b)
{
    return a > b ? a : b;
}

WORD V vsqrt(V x)
{
#ifdef TG_F32
    return sqrtf(x);
#else
    return sqrt(x);
#endif
}

WORD V vround(V x)
{
#ifdef TG_F32
    return nearbyintf(x);
#else
    return nearbyint(x);
#endif
}

WORD M vlt(V a, V b)
{
    return a < b;
}

WORD M vle(V a, V b)
{
    return a <= b;
}

WORD M veq(V a, V b)
{
    return a == b;
}

WORD M vgt(V a, V b)
{
    return a > b;
}

WORD M vge(V a, V b)
{
    return a >= b;
}

WORD M vnot(M m)
{
    return !m;
}

WORD M vand(M a, M b)
{
    return a && b;
}

WORD M vor(M a, M b)
{
    return a || b;
}

WORD int vany(M m)
{
    return m;
}

WORD V vselect(M m, V a, V b)
{
    return m ? a : b;
}

WORD V vbits_and(V a, V b)
{
    return NAME(from_bits)(NAME(to_bits)(a) & NAME(to_bits)(b));
}

WORD V vbits_or(V a, V b)
{
    return NAME(from_bits)(NAME(to_bits)(a) | NAME(to_bits)(b));
}

WORD V vbits_andnot(V a, V b)
{
    return NAME(from_bits)(~NAME(to_bits)(a) & NAME(to_bits)(b));
}

WORD V vbits_shl(V x, int count)
{
    return NAME(from_bits)(NAME(to_bits)(x) << count);
}

WORD V vbits_shr(V x, int count)
{
    return NAME(from_bits)(NAME(to_bits)(x) >> count);
}

WORD V vabs(V x)
{
    return NAME(from_bits)(NAME(to_bits)(x) & ~((NAME(bits))1 << (8 * sizeof(T) - 1)));
}
