/* gate.h: what gemm and the dense layer must know of arrays before they trust them, asked in C.
 *
 * To ask an array for its shape takes Python 30 ns, for its flags twice that; a product needs a
 * dozen answers, which take longer than a small one. They stand in the array object, behind the
 * pointer that arrays.h reads, laid out as in every NumPy so far; library.py proves it at import.
 *
 * Nothing is refused here that Python could refuse with words: who gets TG_UNFIT, because an array
 * is of another dtype, does not fit or has to be copied first, looks again in Python. */
#ifndef TG_GATE_H
#define TG_GATE_H

#include "arrays.h"

/* NumPy's flags. */
#define ROWS_LIE 0x0001    /* C order */
#define COLUMNS_LIE 0x0002 /* Fortran order */
#define ALIGNED 0x0100

/* The class of arrays, and the dtypes of float and double: Python's objects. */
static const void *tg_ndarray, *tg_float, *tg_double;

/* cdef: begin */

struct tg_array {
    void *numbers;
    int axes;
    const intptr_t *lengths, *steps; /* of the axes; steps in bytes */
    void *base;
    const void *dtype;
    int flags;
};

enum { TG_UNFIT = -1 };

/* Take the ids of numpy.ndarray and of the dtypes float32 and float64. To be called after
 * tg_take_ids. */
static void tg_take_kinds(uintptr_t ndarray, uintptr_t f32, uintptr_t f64);

/* Write what stands in an array of at most 2 axes: its class, where its numbers are, how many axes,
 * their lengths and steps, the id of the dtype, the flags. */
static void tg_describe(uintptr_t array, intptr_t *found);

/* The arguments below may be ids of any objects: what is no array does not fit. */

/* c = a b, of two axes each. c has the shape and the dtype that this makes. */
static int tg_matmul(uintptr_t c, uintptr_t a, uintptr_t b);

/* y = act(x w^T + bias), bias an array or 0. y has the shape and the dtype that this makes. */
static int tg_dense(uintptr_t y, uintptr_t x, uintptr_t w, uintptr_t bias, int act);

/* Its gradients, each an array or 0; dz is 0 where there is no activation. They have the shapes of
 * what they are the gradients of, and their dtypes. */
static int tg_dense_grad(uintptr_t dx, uintptr_t dw, uintptr_t db, uintptr_t dz, uintptr_t g,
                         uintptr_t y, uintptr_t x, uintptr_t w, int act);

/* cdef: end */

static void tg_take_kinds(uintptr_t ndarray, uintptr_t f32, uintptr_t f64)
{
    tg_ndarray = (const void *)ndarray;
    tg_float = (const void *)f32;
    tg_double = (const void *)f64;
}

static const struct tg_array *tg_array(uintptr_t id)
{
    return (const struct tg_array *)(id + tg_head);
}

/* The class of an object is the last word of its head. */
static const void *tg_class(uintptr_t object)
{
    return *(const void **)(object + tg_head - sizeof(void *));
}

static void tg_describe(uintptr_t array, intptr_t *found)
{
    const struct tg_array *x = tg_array(array);
    *found++ = (intptr_t)tg_class(array);
    *found++ = (intptr_t)x->numbers;
    *found++ = x->axes;
    for (int i = 0; i < x->axes && i < 2; i++) {
        *found++ = x->lengths[i];
    }
    for (int i = 0; i < x->axes && i < 2; i++) {
        *found++ = x->steps[i];
    }
    *found++ = (intptr_t)x->dtype;
    *found = x->flags;
}

/* The dtype of an array that there are kernels for, or NULL. */
static const void *tg_float_dtype(uintptr_t array)
{
    if (tg_head == 0 || tg_class(array) != tg_ndarray) {
        return NULL;
    }
    const void *dtype = tg_array(array)->dtype;
    return dtype == tg_float || dtype == tg_double ? dtype : NULL;
}

/* Whether it is an array of this dtype that kernels can read as it lies. */
static int tg_is_ready(uintptr_t array, const void *dtype)
{
    int needed = ROWS_LIE | ALIGNED;
    return dtype && tg_float_dtype(array) == dtype && (tg_array(array)->flags & needed) == needed;
}

/* Whether an array, if there is one, has room for so many numbers: asked of what is written to, which
 * Python made a moment before, so that a shape that changes meanwhile (a thread may set it) can do no
 * harm. */
static int tg_has_room(uintptr_t array, size_t numbers)
{
    size_t room = 1;
    for (int i = 0; array && i < tg_array(array)->axes; i++) {
        room *= (size_t)tg_array(array)->lengths[i];
    }
    return array == 0 || room >= numbers;
}

/* ---- gemm ------------------------------------------------------------------------------------ */

/* A matrix as gemm reads it. */
struct tg_matrix {
    void *numbers;
    size_t rows, columns, ld;
    int turned;
};

/* Take operands as they lie: row-major or transposed, with rows (or columns) further apart than
 * they are long. Returns whether it could. */
static int tg_take_matrix(struct tg_matrix *m, const struct tg_array *x, size_t size)
{
    if (x->axes != 2 || !(x->flags & ALIGNED)) {
        return 0;
    }
    m->numbers = x->numbers;
    m->rows = (size_t)x->lengths[0];
    m->columns = (size_t)x->lengths[1];
    if (x->flags & (ROWS_LIE | COLUMNS_LIE)) {
        m->turned = !(x->flags & ROWS_LIE);
        m->ld = m->turned ? m->rows : m->columns;
        return 1;
    }
    m->turned = x->steps[0] == (intptr_t)size;
    intptr_t along = x->steps[!m->turned], apart = x->steps[m->turned];
    m->ld = (size_t)apart / size;
    return along == (intptr_t)size && apart > 0 && (size_t)apart % size == 0 &&
           m->ld >= (m->turned ? m->rows : m->columns);
}

static int tg_matmul(uintptr_t c, uintptr_t a, uintptr_t b)
{
    struct tg_matrix A, B;
    const void *dtype = tg_float_dtype(a);
    int is_float = dtype == tg_float;
    size_t size = is_float ? sizeof(float) : sizeof(double);
    if (dtype == NULL || tg_float_dtype(b) != dtype || !tg_take_matrix(&A, tg_array(a), size) ||
        !tg_take_matrix(&B, tg_array(b), size) || A.columns != B.rows ||
        !tg_has_room(c, A.rows * B.columns)) {
        return TG_UNFIT;
    }
    int flags = (A.turned ? TG_TRANS_A : 0) | (B.turned ? TG_TRANS_B : 0);
    void *C = tg_numbers(c);
    size_t m = A.rows, n = B.columns, k = A.columns;
    return is_float ? tg_gemm_f32(C, A.numbers, B.numbers, m, n, k, n, A.ld, B.ld, flags)
                    : tg_gemm_f64(C, A.numbers, B.numbers, m, n, k, n, A.ld, B.ld, flags);
}

/* ---- The dense layer ------------------------------------------------------------------------- */

struct tg_layer {
    size_t batch, out, in;
    int is_float;
};

/* The sizes of a layer. Returns whether x (..., in), w (out, in) and db or bias (out), which may be
 * 0, are ready and fit, with numbers in them. */
static int tg_take_layer(struct tg_layer *l, uintptr_t x, uintptr_t w, uintptr_t bias)
{
    const void *dtype = tg_float_dtype(x);
    if (!tg_is_ready(x, dtype) || !tg_is_ready(w, dtype) || (bias && !tg_is_ready(bias, dtype))) {
        return 0;
    }
    const struct tg_array *X = tg_array(x), *W = tg_array(w);
    if (X->axes < 1 || W->axes != 2 || X->lengths[X->axes - 1] != W->lengths[1] ||
        (bias && (tg_array(bias)->axes != 1 || tg_array(bias)->lengths[0] != W->lengths[0]))) {
        return 0;
    }
    l->is_float = dtype == tg_float;
    l->batch = 1;
    for (int i = 0; i < X->axes - 1; i++) {
        l->batch *= (size_t)X->lengths[i];
    }
    l->out = (size_t)W->lengths[0];
    l->in = (size_t)W->lengths[1];
    return l->batch > 0 && l->out > 0 && l->in > 0;
}

static int tg_dense(uintptr_t y, uintptr_t x, uintptr_t w, uintptr_t bias, int act)
{
    struct tg_layer l;
    if (act < TG_ACT_NONE || !tg_take_layer(&l, x, w, bias) ||
        !tg_has_room(y, l.batch * l.out)) {
        return TG_UNFIT;
    }
    void *Y = tg_numbers(y), *X = tg_numbers(x), *W = tg_numbers(w), *B = tg_numbers(bias);
    return l.is_float ? tg_linear_f32(Y, X, W, B, l.batch, l.out, l.in, act)
                      : tg_linear_f64(Y, X, W, B, l.batch, l.out, l.in, act);
}

/* Whether it is an array that is ready and has the shape of what a layer makes of x. */
static int tg_is_made_of(uintptr_t y, uintptr_t x, size_t out)
{
    const struct tg_array *X = tg_array(x), *Y = tg_array(y);
    int last = X->axes - 1;
    int fits = tg_is_ready(y, X->dtype) && Y->axes == X->axes && (size_t)Y->lengths[last] == out;
    for (int i = 0; fits && i < last; i++) {
        fits = Y->lengths[i] == X->lengths[i];
    }
    return fits;
}

static int tg_dense_grad(uintptr_t dx, uintptr_t dw, uintptr_t db, uintptr_t dz, uintptr_t g,
                         uintptr_t y, uintptr_t x, uintptr_t w, int act)
{
    struct tg_layer l;
    if (!tg_take_layer(&l, x, w, db) || !tg_is_made_of(g, x, l.out) ||
        !tg_is_made_of(y, x, l.out) || !tg_has_room(dx, l.batch * l.in) ||
        !tg_has_room(dw, l.out * l.in) || !tg_has_room(dz, l.batch * l.out)) {
        return TG_UNFIT;
    }
    void *DX = tg_numbers(dx), *DW = tg_numbers(dw), *DB = tg_numbers(db), *DZ = tg_numbers(dz);
    void *G = tg_numbers(g), *Y = tg_numbers(y), *X = tg_numbers(x), *W = tg_numbers(w);
    return l.is_float
               ? tg_linear_grad_f32(DX, DW, DB, DZ, G, Y, X, W, l.batch, l.out, l.in, act)
               : tg_linear_grad_f64(DX, DW, DB, DZ, G, Y, X, W, l.batch, l.out, l.in, act);
}

#endif
