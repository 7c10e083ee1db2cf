/* Matrix multiplication: C (m, n) = op(A) (m, k) op(B) (k, n), or added to C.
 *
 * The shape alone chooses the way, never the number of threads, so that the bits of a result are
 * always the same (an address decides only which columns are taken together):
 *
 *   a short k        is a few outer products: gemm-outer-inl.h
 *   a thin operand   is read where it lies, together with the other: gemm-thin-inl.h
 *   all else         goes by slabs, small enough for what is packed to stay in the last cache:
 *                    1. pack panels of MR rows of A and NR columns of B: gemm-pack-inl.h
 *                    2. multiply them, unit by unit: gemm-slab-inl.h, gemm-micro-inl.h
 *                    Both steps are shared among the threads; or panels are packed by the thread
 *                    that multiplies them; or are read where they lie.
 *
 *        NC      NC
 *      ┌───────┬───────┬──   A unit is MR rows by NC columns of C. A thread takes a run of units
 *   MR │ unit  │       │     down a column of them and sums the run KC steps of k at a time:
 *      ├───────┼──     │       for each block of KC:
 *   MR │ unit  │                 for each panel of A in the run     (stays in the L1 cache)
 *      ├───────┤                   for each panel of B in the unit  (the block stays in L2)
 *   MR │ unit  │                     the micro-kernel: MR x NR sums in registers.
 *      ├───────┤             Then the caller's `finish` is applied, while the run is still in L2.
 *
 * The sum of an element runs over p in order within a block of KC, and the blocks are added in
 * order. Nothing is skipped: NaN and infinities go where the triple loop sends them. The
 * multiply-adds bound the speed, except for thin operands and short k, where memory does. */

/* Applied to each part of C once it is complete: c points to `rows` x `cols` numbers whose first
 * column is C's column `first`. */
typedef void (*NAME(finish))(T *c, size_t rows, size_t cols, size_t ldc, size_t first,
                             const void *context);

/* One product as its caller states it. */
struct NAME(product) {
    T *c;
    const T *a, *b;
    size_t m, n, k;
    size_t ldc, lda, ldb;
    int flags;
    NAME(finish) finish; /* or NULL */
    const void *context;
};

#include "gemm-micro-inl.h"
#include "gemm-pack-inl.h"
#include "gemm-slab-inl.h"
#include "gemm-thin-inl.h"
#include "gemm-outer-inl.h"

/* k is 0: the sum of nothing. */
static void NAME(multiply_nothing)(const struct NAME(product) *g)
{
    if (!(g->flags & TG_ACCUMULATE)) {
        for (size_t i = 0; i < g->m; i++) {
            memset(g->c + i * g->ldc, 0, g->n * sizeof(T));
        }
    }
    if (g->finish) {
        g->finish(g->c, g->m, g->n, g->ldc, 0, g->context);
    }
}

/* Any product: choose the way. */
static int NAME(multiply)(const struct NAME(product) *g)
{
    if (g->m == 0 || g->n == 0) {
        return TG_OK;
    }
    if (g->k == 0) {
        NAME(multiply_nothing)(g);
        return TG_OK;
    }
    if (NAME(is_outer)(g)) {
        return NAME(multiply_outer)(g);
    }
    return NAME(is_thin)(g) ? NAME(multiply_thin)(g) : NAME(multiply_slabs)(g);
}

/* C (m, n) = op(A) op(B); ld* are row strides in elements, of the matrices as they lie in
 * memory. */
static int NAME(gemm)(T *C, const T *A, const T *B, size_t m, size_t n, size_t k, size_t ldc,
                      size_t lda, size_t ldb, int flags)
{
    struct NAME(product) product = {.c = C, .a = A, .b = B, .m = m, .n = n, .k = k, .flags = flags};
    product.ldc = ldc;
    product.lda = lda;
    product.ldb = ldb;
    return NAME(multiply)(&product);
}

/* A batch of products of one shape: the first, and the steps to the next. */
struct NAME(batch) {
    struct NAME(product) product;
    size_t stride_c, stride_a, stride_b;
    int status;
};

static void NAME(multiply_batch)(void *context, size_t begin, size_t end)
{
    struct NAME(batch) *batch = context;
    for (size_t i = begin; i < end; i++) {
        struct NAME(product) product = batch->product;
        product.c += i * batch->stride_c;
        product.a += i * batch->stride_a;
        product.b += i * batch->stride_b;
        tg_note(&batch->status, NAME(multiply)(&product));
    }
}

/* Dense matrices, one after the other. Small products share the batch among the threads, each
 * computed by one; large ones are computed one by one, each by all. One B for a batch of plain As
 * is a single product with all the rows of A. */
static int NAME(gemm_batched)(T *C, const T *A, const T *B, size_t batch, size_t m, size_t n,
                              size_t k, size_t stride_a, size_t stride_b, int flags)
{
    struct NAME(product) product = {.c = C, .a = A, .b = B, .m = m, .n = n, .k = k, .flags = flags};
    product.ldc = n;
    product.lda = flags & TG_TRANS_A ? m : k;
    product.ldb = flags & TG_TRANS_B ? k : n;
    if (stride_b == 0 && stride_a == m * k && !(flags & TG_TRANS_A)) {
        product.m = batch * m;
        return NAME(multiply)(&product);
    }
    struct NAME(batch) all = {.product = product,
                              .stride_c = m * n,
                              .stride_a = stride_a,
                              .stride_b = stride_b,
                              .status = TG_OK};
    size_t grain = NAME(ratio_up)(GRAIN, tg_max(1, m * n * k));
    if (m * n * k >= 16 * GRAIN) {
        for (size_t i = 0; i < batch; i++) {
            NAME(multiply_batch)(&all, i, i + 1);
        }
    } else {
        tg_parallel_for(batch, grain, NAME(multiply_batch), &all);
    }
    return all.status;
}
