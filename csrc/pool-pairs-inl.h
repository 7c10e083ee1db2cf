/* pool-pairs-inl.h: what pool-inl.h needs for windows of two columns that move by two: vectors
 * taken apart into left and right neighbours, and parts of rows loaded and stored. */

/* Which numbers of two vectors, counted through both, are the even ones; the odd ones follow. */
#undef EVENS
#undef ODDS
#ifdef ZIP_LOW
#if (defined(TG_F32) && TG_VECTOR_BYTES == 64)
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif (defined(TG_F32) && TG_VECTOR_BYTES == 32) || TG_VECTOR_BYTES == 64
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#elif (defined(TG_F32) && TG_VECTOR_BYTES == 16) || TG_VECTOR_BYTES == 32
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#else
#define EVENS 0, 2
#define ODDS 1, 3
#endif
#endif

/* 2 LANES numbers as LANES pairs of neighbours, the left ones and the right ones. */
WORD void NAME(unzip)(V *left, V *right, V first, V second)
{
#ifdef ZIP_LOW
    *left = __builtin_shufflevector(first, second, EVENS);
    *right = __builtin_shufflevector(first, second, ODDS);
#else
    T both[2 * LANES], evens[LANES], odds[LANES];
    vstore(both, first);
    vstore(both + LANES, second);
    for (size_t i = 0; i < LANES; i++) {
        evens[i] = both[2 * i];
        odds[i] = both[2 * i + 1];
    }
    *left = vload(evens);
    *right = vload(odds);
#endif
}

/* The inverse, in place. */
WORD void NAME(zip)(V *first, V *second)
{
#ifdef ZIP_LOW
    V left = *first;
    *first = __builtin_shufflevector(left, *second, ZIP_LOW);
    *second = __builtin_shufflevector(left, *second, ZIP_HIGH);
#else
    T both[2 * LANES], left[LANES], right[LANES];
    vstore(left, *first);
    vstore(right, *second);
    for (size_t i = 0; i < LANES; i++) {
        both[2 * i] = left[i];
        both[2 * i + 1] = right[i];
    }
    *first = vload(both);
    *second = vload(both + LANES);
#endif
}

/* ---- Parts of rows --------------------------------------------------------------------------- */

/* Load, store n numbers of an array that ends at `end`: whole vectors where they fit, which is
 * quicker. What a store spills belongs to the next row, and is overwritten with it. */
WORD V NAME(load_before)(const T *from, size_t n, const T *end)
{
    return NAME(load_upto)(from, (size_t)(end - from) < LANES ? n : LANES);
}

WORD void NAME(store_before)(T *to, V v, size_t n, const T *end)
{
    NAME(store_upto)(to, v, (size_t)(end - to) < LANES ? n : LANES);
}

/* Pairs of neighbours, the first n of up to 2 LANES numbers. */
WORD void NAME(load_pairs)(V *left, V *right, const T *from, size_t n, const T *end)
{
    V second = n > LANES ? NAME(load_before)(from + LANES, n - LANES, end) : vzero();
    NAME(unzip)(left, right, NAME(load_before)(from, n, end), second);
}

WORD void NAME(store_pairs)(T *to, V left, V right, size_t n, const T *end)
{
    NAME(zip)(&left, &right);
    NAME(store_before)(to, left, n, end);
    if (n > LANES) {
        NAME(store_before)(to + LANES, right, n - LANES, end);
    }
}
