/* The micro-kernel of matrix multiplication: one tile of C, MR x NR, kept in registers while it is
 * summed over k.
 *
 *                 b: NR columns, two vectors
 *                 ┌────┬────┐
 *               k │ b0 │ b1 │
 *                 └────┴────┘
 *   a: MR rows    ┌────┬────┐
 *      ┌─ k ─┐    │    │    │   2 MR vectors of sums. A step of k loads b0 and b1 and broadcasts
 *   MR │     │    │  C │    │   the MR numbers of a column of a: MR + 2 loads for 2 MR multiply-
 *      └─────┘    └────┴────┘   adds, so that arithmetic is the bound, not the loads.
 *
 * Everything that depends on the instruction set is the table below; the code is written with the
 * words of simd-inl.h. */

/* The tiles. To tune for a machine, change its row. MR comes from the number of vector registers:
 * 2 MR + 3 of them are in use, and about eight sums must be in flight to hide the latency of a
 * multiply-add. The blocks come from the caches:
 *
 *   KC   one panel of A, MR x KC, stays in the L1 cache. AVX-512: 28 KiB for float; 56 for double,
 *        which streams from L2 then: fewer passes over C are worth more (2.5 % on Zen 4).
 *   NC   one block of B, KC x NC, stays in the L2 cache while the panels of A pass by: 512 KiB with
 *        AVX-512, 192 elsewhere (NEON 288).
 *   THIN up to this many rows, dot products are faster than packing (gemm-thin-inl.h): many
 *        registers make them so, or no fast way to transpose. */
#undef MR
#undef KC
#undef NC
#undef NR
#undef THIN
#undef BY_DTYPE
#ifdef TG_F32
#define BY_DTYPE(of_float, of_double) of_float
#else
#define BY_DTYPE(of_float, of_double) of_double
#endif
#if defined(TG_AVX512) /* 32 registers */
#define MR 14
#define KC BY_DTYPE(512, 512)
#define NC BY_DTYPE(256, 128)
#define THIN 64
#elif defined(TG_AVX2) /* 16 */
#define MR 6
#define KC BY_DTYPE(256, 256)
#define NC BY_DTYPE(192, 96)
#define THIN 12
#elif defined(TG_NEON) /* 32 */
#define MR 8
#define KC BY_DTYPE(384, 256)
#define NC BY_DTYPE(192, 96)
#define THIN 12
#else /* SSE2 and scalar: 16, and no fused multiply-add, which takes one more */
#define MR 4
#define KC BY_DTYPE(256, 256)
#define NC BY_DTYPE(192, 96)
#define THIN 32
#endif
#define NR (2 * LANES)

/* The loops over the registers of a tile must disappear, or the sums would live in memory. */
#undef UNROLL
#undef PREFETCH
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif
#undef APART
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#define APART __attribute__((noinline)) /* inlined, its loops would lack registers for pointers */
#else
#define PREFETCH(address) ((void)(address))
#define APART
#endif

/* Load, store n >= 1 numbers: a whole vector where there are enough. */
WORD V NAME(load_upto)(const T *from, size_t n)
{
    return n >= LANES ? vload(from) : vload_n(from, n);
}

WORD void NAME(store_upto)(T *to, V v, size_t n)
{
    if (n >= LANES) {
        vstore(to, v);
    } else {
        vstore_n(to, v, n);
    }
}

/* c (rows, vectors * LANES) = or += a (rows, k) b (k, vectors * LANES).
 *
 * a[i * a_row + p * a_col] is A's element (i, p); b[p * b_row + j] is B's (p, j). rows <= MR and
 * vectors <= 2 are constants where this is called, so that each call becomes its own loop. The sum
 * of an element runs over p in order, whatever the tile. */
WORD void NAME(micro)(T *c, size_t ldc, const T *a, size_t a_row, size_t a_col, const T *b,
                      size_t b_row, size_t k, int accumulate, const size_t rows,
                      const size_t vectors)
{
    V sum[MR][2];
    /* About 8 MR multiply-adds ahead, 200 cycles. As an offset from b it would take two registers, of
     * which there is none left: the second came out of a vector register, a cycle a step. */
    const T *soon = b + 8 * MR / rows * b_row;
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        if (accumulate) {
            PREFETCH(c + i * ldc);
            PREFETCH(c + i * ldc + vectors * LANES - 1);
        }
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            sum[i][v] = vzero();
        }
    }
    for (size_t p = 0; p < k; p++) {
        V across[2];
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            across[v] = vload(b + v * LANES);
        }
        PREFETCH(a + 64 * a_col);
        PREFETCH(soon);
        PREFETCH(soon + (vectors - 1) * LANES);
        UNROLL
        for (size_t i = 0; i < rows; i++) {
            V down = vset(a[i * a_row]);
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[i][v] = vfma(down, across[v], sum[i][v]);
            }
        }
        a += a_col;
        b += b_row;
        soon += b_row;
    }
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            T *to = c + i * ldc + v * LANES;
            if (accumulate) {
                sum[i][v] = vload(to) + sum[i][v];
            }
            vstore(to, sum[i][v]);
        }
    }
}

/* How many rows the micro-kernel computes for a panel with this many: the next count that has a
 * loop of its own below. */
static size_t NAME(micro_rows)(size_t rows)
{
    return rows <= 1 ? 1 : (rows + 1) / 2 * 2;
}

/* The micro-kernel for `rows`, a value of micro_rows, and 1 or 2 vectors; a_row and a_col are
 * constants where this is called for a packed panel. */
#define CASE(r)                                                                                    \
    case 2 * (r):                                                                                  \
        NAME(micro)(c, ldc, a, a_row, a_col, b, b_row, k, accumulate, r, 1);                       \
        return;                                                                                    \
    case 2 * (r) + 1:                                                                              \
        NAME(micro)(c, ldc, a, a_row, a_col, b, b_row, k, accumulate, r, 2);                       \
        return;
WORD void NAME(micro_of)(T *c, size_t ldc, const T *a, size_t a_row, size_t a_col, const T *b,
                         size_t b_row, size_t k, int accumulate, size_t rows, size_t vectors)
{
    switch (2 * rows + vectors - 1) {
        CASE(1)
        CASE(2)
        CASE(4)
#if MR >= 6
        CASE(6)
#endif
#if MR >= 8
        CASE(8)
#endif
#if MR >= 14
        CASE(10)
        CASE(12)
        CASE(14)
#endif
    default:
        return;
    }
}
#undef CASE

APART static void NAME(micro_packed)(T *c, size_t ldc, const T *a, const T *b, size_t b_row,
                                     size_t k, int accumulate, size_t rows, size_t vectors)
{
    NAME(micro_of)(c, ldc, a, 1, MR, b, b_row, k, accumulate, rows, vectors);
}

APART static void NAME(micro_in_place)(T *c, size_t ldc, const T *a, size_t a_row, size_t a_col,
                                       const T *b, size_t b_row, size_t k, int accumulate,
                                       size_t rows, size_t vectors)
{
    NAME(micro_of)(c, ldc, a, a_row, a_col, b, b_row, k, accumulate, rows, vectors);
}
