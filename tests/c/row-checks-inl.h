/* row-checks-inl.h: reductions, softmax and its relatives, optimizers, for T; see driver.c. */

static T *F(drawn)(struct arena *arena, size_t n, size_t offset)
{
    T *x = take(arena, n * sizeof(T), offset * sizeof(T));
    for (size_t i = 0; i < n; i++) {
        x[i] = (T)draw(-3, 3);
    }
    return x;
}

static void F(check_reduction)(size_t outer, size_t len, size_t inner)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, outer * len * inner, 1);
    T *y = take(&arena, outer * inner * sizeof(T), sizeof(T));
    T *most = take(&arena, outer * inner * sizeof(T), 0);
    report(TG(sum)(y, x, outer, len, inner) == TG_OK, "sum", 0, 0, 0);
    if (len > 0) {
        report(TG(max)(most, x, outer, len, inner) == TG_OK, "max", 0, 0, 0);
    }
    for (size_t i = 0; i < outer * inner; i++) {
        long double sum = 0;
        long double size = 0;
        long double best = -INFINITY;
        for (size_t k = 0; k < len; k++) {
            T v = x[(i / inner * len + k) * inner + i % inner];
            sum += v;
            size += fabsl((long double)v);
            best = v > best ? v : best;
        }
        long double tolerance = EPSILON * (4 + log2l((long double)len + 1)) * size;
        report(F(close)(y[i], sum, tolerance), "sum", i, y[i], sum);
        report(len == 0 || most[i] == best, "max", i, most[i], best);
    }
    if (outer * len * inner > 0) {
        size_t all = outer * len * inner;
        size_t at = (size_t)(random_bits() % all);
        report(TG(finite)(x, all) == TG_OK, "finite", 0, 0, 0);
        x[at] = -(T)INFINITY;
        report(TG(finite)(x, all) == TG_ENONFINITE, "finite of inf", at, 0, 0);
        x[at] = (T)NAN;
        report(TG(finite)(x, all) == TG_ENONFINITE, "finite of NaN", at, 0, 0);
        TG(max)(most, x, outer, len, inner);
        size_t hit = at / inner / len * inner + at % inner;
        report(isnan(most[hit]), "max of NaN", hit, most[hit], NAN);
    }
    release(&arena);
}

static void F(check_softmax)(size_t rows, size_t cols, double scale)
{
    struct arena arena = {.count = 0};
    size_t bytes = rows * cols * sizeof(T);
    T *x = F(drawn)(&arena, rows * cols, 1);
    T *g = F(drawn)(&arena, rows * cols, 0);
    T *y = take(&arena, bytes, sizeof(T));
    T *z = take(&arena, bytes, sizeof(T));
    T *dy = take(&arena, bytes, 0);
    T *dz = take(&arena, bytes, 0);
    T *l = take(&arena, rows * sizeof(T), 0);
    for (size_t i = 0; i < rows * cols; i++) {
        x[i] = (T)(x[i] * (T)scale);
        x[i] = i % 11 == 3 ? (T)-INFINITY : x[i];
    }
    TG(softmax)(y, x, rows, cols);
    TG(log_softmax)(z, x, rows, cols);
    TG(logsumexp)(l, x, rows, cols);
    TG(softmax_grad)(dy, g, y, rows, cols);
    TG(log_softmax_grad)(dz, g, z, rows, cols);
    for (size_t r = 0; r < rows; r++) {
        size_t at = r * cols;
        long double best = -INFINITY;
        long double sum = 0;
        for (size_t c = 0; c < cols; c++) {
            best = x[at + c] > best ? x[at + c] : best;
        }
        for (size_t c = 0; c < cols; c++) {
            sum += isinf(best) ? 0 : expl(x[at + c] - best);
        }
        long double total = best + logl(sum);
        long double slack = EPSILON * (8 + fabsl(isinf(best) ? 0 : best));
        report(F(close)(l[r], isinf(best) ? best : total, slack), "logsumexp", r, l[r], total);
        if (isinf(best)) {
            continue; /* a row of -inf alone */
        }
        long double dot = 0;
        long double g_sum = 0;
        for (size_t c = 0; c < cols; c++) {
            long double p = expl(x[at + c] - best) / sum;
            report(F(close)(y[at + c], p, 8 * EPSILON * p + LEAST), "softmax", c, y[at + c], p);
            long double log_p = (x[at + c] - best) - logl(sum);
            long double tolerance = EPSILON * (8 + 2 * fabsl(log_p));
            report(F(close)(z[at + c], log_p, tolerance), "log_softmax", c, z[at + c], log_p);
            dot += (long double)g[at + c] * p;
            g_sum += g[at + c];
        }
        for (size_t c = 0; c < cols; c++) {
            long double p = expl(x[at + c] - best) / sum;
            long double want = p * (g[at + c] - dot);
            report(F(close)(dy[at + c], want, 40 * EPSILON), "softmax_grad", c, dy[at + c], want);
            long double log_p = z[at + c];
            want = g[at + c] - expl(log_p) * g_sum;
            long double tolerance = EPSILON * (10 + 10 * (long double)cols);
            report(F(close)(dz[at + c], want, tolerance), "log_softmax_grad", c, dz[at + c], want);
        }
    }
    release(&arena);
}

static void F(check_cross_entropy)(size_t rows, size_t cols, double smoothing)
{
    struct arena arena = {.count = 0};
    T *x = F(drawn)(&arena, rows * cols, 1);
    T *g = F(drawn)(&arena, rows, 0);
    T *p = take(&arena, rows * cols * sizeof(T), 0);
    T *dx = take(&arena, rows * cols * sizeof(T), sizeof(T));
    T *loss = take(&arena, rows * sizeof(T), 0);
    int64_t *target = take(&arena, rows * sizeof(int64_t), 0);
    T s = (T)smoothing;
    for (size_t r = 0; r < rows; r++) {
        target[r] = (int64_t)(random_bits() % cols);
    }
    report(TG(cross_entropy)(loss, p, x, target, s, rows, cols) == TG_OK, "status", 0, 0, 0);
    report(TG(cross_entropy_grad)(dx, g, p, target, s, rows, cols) == TG_OK, "status", 0, 0, 0);
    for (size_t r = 0; r < rows; r++) {
        long double sum = 0;
        long double mean = 0;
        for (size_t c = 0; c < cols; c++) {
            sum += expl(x[r * cols + c]);
            mean += x[r * cols + c] / (long double)cols;
        }
        long double nll = logl(sum) - x[r * cols + (size_t)target[r]];
        long double want = (1 - (long double)s) * nll + s * (logl(sum) - mean);
        report(F(close)(loss[r], want, 30 * EPSILON), "cross_entropy", r, loss[r], want);
        for (size_t c = 0; c < cols; c++) {
            long double wanted = s / (long double)cols;
            wanted += (size_t)target[r] == c ? 1 - (long double)s : 0;
            long double slope = g[r] * (expl(x[r * cols + c]) / sum - wanted);
            T got = dx[r * cols + c];
            report(F(close)(got, slope, 30 * EPSILON), "cross_entropy_grad", c, got, slope);
        }
    }
    target[rows - 1] = (int64_t)cols;
    report(TG(cross_entropy)(loss, p, x, target, s, rows, cols) == TG_EINDEX, "index", 0, 0, 0);
    target[rows - 1] = -1;
    report(TG(cross_entropy_grad)(dx, g, p, target, s, rows, cols) == TG_EINDEX, "index", 1, 0, 0);
    release(&arena);
}

static void F(check_rows)(void)
{
    begin(sizeof(T) == 4 ? "reductions f32" : "reductions f64");
    for (size_t s = 0; s < COUNT(sizes); s++) {
        F(check_reduction)(1, sizes[s], 1);
        F(check_reduction)(3, sizes[s], 1);
        F(check_reduction)(2, sizes[s], 5);
        F(check_reduction)(3, 7, sizes[s]);
    }
    F(check_reduction)(1, 70001, 1);
    F(check_reduction)(2, 20011, 3);
    F(check_reduction)(1, 150, 1501);
    F(check_reduction)(0, 5, 4);
    end();
    begin(sizeof(T) == 4 ? "softmax f32" : "softmax f64");
    for (size_t s = 1; s < COUNT(sizes); s++) {
        F(check_softmax)(3, sizes[s], 1);
        F(check_softmax)(2, sizes[s], 3000);
        F(check_cross_entropy)(3, sizes[s], 0);
        F(check_cross_entropy)(2, sizes[s], 0.125);
    }
    F(check_softmax)(0, 5, 1);
    F(check_softmax)(301, 67, 1);
    F(check_softmax)(37, 10, 1);
    F(check_softmax)(35, 3, 3000);
    F(check_cross_entropy)(37, 10, 0.125);
    T odd[] = {1, (T)INFINITY, 2, 3, (T)NAN, 2};
    T result[2];
    TG(logsumexp)(result, odd, 2, 3);
    report(isinf(result[0]) && result[0] > 0, "logsumexp of inf", 0, result[0], INFINITY);
    report(isnan(result[1]), "logsumexp of NaN", 1, result[1], NAN);
    end();
}

/* ---- Optimizers ------------------------------------------------------------------------------ */

static void F(check_sgd)(double mu, double dampening, int nesterov, double decay)
{
    size_t counts[] = {5, 0, 1003};
    struct arena arena = {.count = 0};
    T *w[3], *momentum[3], *before[3];
    const T *g[3];
    for (size_t i = 0; i < 3; i++) {
        w[i] = F(drawn)(&arena, counts[i], 1);
        g[i] = F(drawn)(&arena, counts[i], 0);
        before[i] = take(&arena, counts[i] * sizeof(T), 0);
        memcpy(before[i], w[i], counts[i] * sizeof(T));
        momentum[i] = take(&arena, counts[i] * sizeof(T), 0);
    }
    T *const *buffers = mu == 0 ? NULL : momentum;
    TG(sgd)(w, buffers, g, counts, 3, 0.1, mu, dampening, nesterov, decay, 1);
    TG(sgd)(w, buffers, g, counts, 3, 0.1, mu, dampening, nesterov, decay, 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < counts[i]; j++) {
            long double v = before[i][j];
            long double buffer = 0;
            for (int step = 0; step < 2; step++) {
                long double d = g[i][j] + decay * v;
                buffer = step == 0 ? d : mu * buffer + (1 - dampening) * d;
                v -= 0.1L * (mu == 0 ? d : nesterov ? d + mu * buffer : buffer);
            }
            report(F(close)(w[i][j], v, 20 * EPSILON), "sgd", j, w[i][j], v);
        }
    }
    release(&arena);
}

static void F(check_adam)(double decay, int decoupled)
{
    size_t counts[] = {7, 1003};
    struct arena arena = {.count = 0};
    T *w[2], *m[2], *v[2], *before[2];
    const T *g[2];
    for (size_t i = 0; i < 2; i++) {
        w[i] = F(drawn)(&arena, counts[i], 1);
        g[i] = F(drawn)(&arena, counts[i], 0);
        m[i] = take(&arena, counts[i] * sizeof(T), 0);
        v[i] = take(&arena, counts[i] * sizeof(T), sizeof(T));
        before[i] = take(&arena, counts[i] * sizeof(T), 0);
        memcpy(before[i], w[i], counts[i] * sizeof(T));
        memset(m[i], 0, counts[i] * sizeof(T));
        memset(v[i], 0, counts[i] * sizeof(T));
    }
    for (int t = 1; t <= 3; t++) {
        TG(adam)(w, m, v, g, counts, 2, 0.01, 0.9, 0.999, 1e-8, decay, decoupled, 1 - pow(0.9, t),
                 1 - pow(0.999, t));
    }
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < counts[i]; j++) {
            long double x = before[i][j];
            long double first = 0;
            long double second = 0;
            for (int t = 1; t <= 3; t++) {
                long double d = g[i][j] + (decoupled ? 0 : decay * x);
                x = decoupled ? x * (1 - 0.01L * decay) : x;
                first = 0.9L * first + 0.1L * d;
                second = 0.999L * second + 0.001L * d * d;
                long double root = sqrtl(second) / sqrtl(1 - powl(0.999L, t));
                x -= 0.01L / (1 - powl(0.9L, t)) * first / (root + 1e-8L);
            }
            report(F(close)(w[i][j], x, 60 * EPSILON), "adam", j, w[i][j], x);
        }
    }
    release(&arena);
}

static void F(check_optimizers)(void)
{
    begin(sizeof(T) == 4 ? "optimizers f32" : "optimizers f64");
    F(check_sgd)(0, 0, 0, 0);
    F(check_sgd)(0, 0, 0, 0.01);
    F(check_sgd)(0.9, 0, 0, 0);
    F(check_sgd)(0.9, 0.5, 0, 0.01);
    F(check_sgd)(0.9, 0, 1, 0.01);
    F(check_adam)(0, 0);
    F(check_adam)(0.1, 0);
    F(check_adam)(0.1, 1);
    end();
}
