/* product-checks-inl.h: gemm, gemm_batched, linear and their gradients, for T; see driver.c. */

/* One element of op(A) op(B), and the size of what was added up. */
static long double F(dot)(const T *a, size_t a_step, const T *b, size_t b_step, size_t k,
                          long double *size)
{
    long double sum = 0;
    *size = 0;
    for (size_t i = 0; i < k; i++) {
        long double term = (long double)a[i * a_step] * b[i * b_step];
        sum += term;
        *size += fabsl(term);
    }
    return sum;
}

static void F(check_gemm)(size_t m, size_t n, size_t k, size_t extra, int flags)
{
    struct arena arena = {.count = 0};
    size_t lda = (flags & TG_TRANS_A ? m : k) + extra;
    size_t ldb = (flags & TG_TRANS_B ? k : n) + extra;
    size_t ldc = n + extra;
    size_t a_rows = flags & TG_TRANS_A ? k : m;
    size_t b_rows = flags & TG_TRANS_B ? n : k;
    size_t a_size = a_rows == 0 ? 0 : a_rows * lda - extra; /* the last row has no gap behind it */
    size_t b_size = b_rows == 0 ? 0 : b_rows * ldb - extra;
    size_t c_size = m == 0 ? 0 : m * ldc - extra;
    T *a = F(drawn)(&arena, a_size, 1);
    T *b = F(drawn)(&arena, b_size, 1);
    T *c = F(drawn)(&arena, c_size, 1);
    T *before = take(&arena, c_size * sizeof(T), 0);
    memcpy(before, c, c_size * sizeof(T));
    report(TG(gemm)(c, a, b, m, n, k, ldc, lda, ldb, flags) == TG_OK, "gemm", 0, 0, 0);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            long double size;
            const T *row = flags & TG_TRANS_A ? a + i : a + i * lda;
            const T *column = flags & TG_TRANS_B ? b + j * ldb : b + j;
            long double want = F(dot)(row, flags & TG_TRANS_A ? lda : 1, column,
                                      flags & TG_TRANS_B ? 1 : ldb, k, &size);
            long double old = flags & TG_ACCUMULATE ? before[i * ldc + j] : 0;
            long double slack = EPSILON * (4 + sqrtl((long double)k)) * (size + fabsl(old));
            T got = c[i * ldc + j];
            report(F(close)(got, want + old, slack), "gemm", i * n + j, got, want + old);
        }
        for (size_t j = n; j < ldc && i * ldc + j < c_size; j++) {
            report(c[i * ldc + j] == before[i * ldc + j], "gemm: the gap", j, 0, 0);
        }
    }
    release(&arena);
}

static void F(check_batched)(size_t batch, size_t m, size_t n, size_t k, int share_b, int flags)
{
    struct arena arena = {.count = 0};
    size_t stride_b = share_b ? 0 : k * n;
    T *a = F(drawn)(&arena, batch * m * k, 1);
    T *b = F(drawn)(&arena, share_b ? k * n : batch * k * n, 0);
    T *c = F(drawn)(&arena, batch * m * n, 1);
    T *want = take(&arena, batch * m * n * sizeof(T), 0);
    memcpy(want, c, batch * m * n * sizeof(T));
    size_t lda = flags & TG_TRANS_A ? m : k;
    size_t ldb = flags & TG_TRANS_B ? k : n;
    TG(gemm_batched)(c, a, b, batch, m, n, k, m * k, stride_b, flags);
    for (size_t i = 0; i < batch; i++) {
        TG(gemm)(want + i * m * n, a + i * m * k, b + i * stride_b, m, n, k, n, lda, ldb, flags);
    }
    for (size_t i = 0; i < batch * m * n; i++) {
        long double slack = EPSILON * 30 * ((long double)k + 1);
        report(F(close)(c[i], want[i], slack), "gemm_batched", i, c[i], want[i]);
    }
    release(&arena);
}

static long double F(activate)(long double z, int act)
{
    switch (act) {
    case TG_ACT_RELU:
        return z > 0 ? z : 0;
    case TG_ACT_SIGMOID:
        return 1 / (1 + expl(-z));
    case TG_ACT_TANH:
        return tanhl(z);
    default:
        return z;
    }
}

static long double F(act_slope)(long double y, int act)
{
    switch (act) {
    case TG_ACT_RELU:
        return y > 0;
    case TG_ACT_SIGMOID:
        return y * (1 - y);
    case TG_ACT_TANH:
        return 1 - y * y;
    default:
        return 1;
    }
}

static void F(check_linear)(size_t batch, size_t out, size_t in, int act, int with_bias)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, batch * in, 1);
    T *w = F(drawn)(&arena, out * in, 1);
    T *bias = with_bias ? F(drawn)(&arena, out, 1) : NULL;
    T *y = take(&arena, batch * out * sizeof(T), sizeof(T));
    T *g = F(drawn)(&arena, batch * out, 1);
    T *dz = act == TG_ACT_NONE ? NULL : take(&arena, batch * out * sizeof(T), 0);
    T *dx = take(&arena, batch * in * sizeof(T), sizeof(T));
    T *dw = take(&arena, out * in * sizeof(T), sizeof(T));
    T *db = take(&arena, out * sizeof(T), sizeof(T));
    T *delta = take(&arena, batch * out * sizeof(T), 0);
    report(TG(linear)(y, x, w, bias, batch, out, in, act) == TG_OK, "linear", 0, 0, 0);
    for (size_t i = 0; i < batch * out; i++) {
        long double size;
        size_t o = i % out;
        long double z = F(dot)(x + i / out * in, 1, w + o * in, 1, in, &size);
        z += with_bias ? bias[o] : 0;
        long double slack = EPSILON * ((4 + sqrtl((long double)in)) * (size + 3) + 8);
        report(F(close)(y[i], F(activate)(z, act), slack), "linear", i, y[i], F(activate)(z, act));
        delta[i] = (T)(g[i] * F(act_slope)(y[i], act));
    }
    int status = TG(linear_grad)(dx, dw, db, dz, g, y, x, w, batch, out, in, act);
    report(status == TG_OK, "grad", 0, status, 0);
    for (size_t i = 0; i < batch * in; i++) {
        long double size;
        long double want = F(dot)(delta + i / in * out, 1, w + i % in, in, out, &size);
        report(F(close)(dx[i], want, 20 * EPSILON * (size + 1)), "linear dx", i, dx[i], want);
    }
    for (size_t i = 0; i < out * in; i++) {
        long double size;
        long double want = F(dot)(delta + i / in, out, x + i % in, in, batch, &size);
        report(F(close)(dw[i], want, 20 * EPSILON * (size + 1)), "linear dw", i, dw[i], want);
    }
    T one = 1;
    for (size_t o = 0; o < out; o++) {
        long double size;
        long double want = F(dot)(delta + o, out, &one, 0, batch, &size);
        report(F(close)(db[o], want, 20 * EPSILON * (size + 1)), "linear db", o, db[o], want);
    }
    T *none = NULL;
    status = TG(linear_grad)(none, dw, none, dz, g, y, x, w, batch, out, in, act);
    report(status == TG_OK, "dw", 0, status, 0);
    status = TG(linear_grad)(dx, none, none, dz, g, y, x, w, batch, out, in, act);
    report(status == TG_OK, "dx", 0, status, 0);
    status = TG(linear_grad)(none, none, db, dz, g, y, x, w, batch, out, in, act);
    report(status == TG_OK, "db", 0, status, 0);
    release(&arena);
}

static void F(check_products)(void)
{
    static const size_t shapes[][3] = {
        {1, 1, 1}, {0, 3, 2}, {3, 0, 2}, {3, 2, 0}, {1, 7, 5}, {7, 1, 5}, {5, 7, 1}, {3, 5, 4},
        {17, 19, 23}, {33, 8, 65}, {64, 64, 64}, {6, 130, 31}, {129, 5, 300}, {70, 100, 257},
        {2, 300, 33}, {3, 528, 520},
    };
    begin(sizeof(T) == 4 ? "gemm f32" : "gemm f64");
    for (size_t s = 0; s < COUNT(shapes); s++) {
        for (int flags = 0; flags < 8; flags++) {
            F(check_gemm)(shapes[s][0], shapes[s][1], shapes[s][2], 0, flags);
            F(check_gemm)(shapes[s][0], shapes[s][1], shapes[s][2], 3, flags);
        }
    }
    for (int flags = 0; flags < 8; flags++) {
        F(check_batched)(5, 7, 9, 11, flags & 1, flags);
        F(check_batched)(3, 20, 33, 17, !(flags & 1), flags);
    }
    F(check_batched)(0, 3, 3, 3, 0, 0);
    end();
    begin(sizeof(T) == 4 ? "linear f32" : "linear f64");
    for (int act = TG_ACT_NONE; act <= TG_ACT_TANH; act++) {
        F(check_linear)(1, 1, 1, act, 1);
        F(check_linear)(5, 3, 7, act, 1);
        F(check_linear)(1, 10, 33, act, 1);
        F(check_linear)(33, 17, 65, act, 0);
        F(check_linear)(64, 100, 31, act, 1);
        F(check_linear)(0, 4, 3, act, 1);
    }
    end();
}
