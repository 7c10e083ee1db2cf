/* norm-checks-inl.h: normalize and its gradient against their formulas, for T; see driver.c. */

static void F(check_norm)(size_t outer, size_t groups, size_t inner, int by_column, int affine)
{
    struct arena arena = {.count = 0};
    size_t n = outer * groups * inner;
    size_t weights = by_column ? inner : groups;
    T *x = F(drawn)(&arena, n, 1);
    T *g = F(drawn)(&arena, n, 0);
    T *w = affine ? F(drawn)(&arena, weights, 1) : NULL;
    T *b = affine ? F(drawn)(&arena, weights, 0) : NULL;
    T *y = take(&arena, n * sizeof(T), sizeof(T));
    T *mean = take(&arena, groups * sizeof(T), sizeof(T));
    T *var = take(&arena, groups * sizeof(T), 0);
    T *dx = take(&arena, n * sizeof(T), sizeof(T));
    T *dw = affine ? take(&arena, weights * sizeof(T), 0) : NULL;
    T *db = affine ? take(&arena, weights * sizeof(T), sizeof(T)) : NULL;
    long double *of_w = zeros(&arena, weights);
    long double *of_b = zeros(&arena, weights);
    int status = TG(normalize)(y, mean, var, x, w, b, outer, groups, inner, by_column, 0.01);
    report(status == TG_OK, "normalize", 0, status, 0);
    status = TG(normalize_grad)(dx, dw, db, g, x, mean, var, w, outer, groups, inner, by_column,
                                0.01);
    report(status == TG_OK, "grad", 0, status, 0);
    long double slack = EPSILON * (100 + (long double)n);
    for (size_t group = 0; group < groups; group++) {
        long double count = (long double)(outer * inner);
        long double sums[4] = {0, 0, 0, 0}; /* x, its squared distances, h, h n */
        for (int pass = 0; pass < 4; pass++) {
            long double centre = sums[0] / count;
            long double scale = 1 / sqrtl(sums[1] / count + 0.01L);
            for (size_t i = 0; i < outer * inner; i++) {
                size_t at = (i / inner * groups + group) * inner + i % inner;
                size_t of = by_column ? i % inner : group;
                long double normal = (x[at] - centre) * scale;
                long double h = affine ? (long double)g[at] * w[of] : g[at];
                if (pass == 0) {
                    sums[0] += x[at];
                } else if (pass == 1) {
                    sums[1] += (x[at] - centre) * (x[at] - centre);
                } else if (pass == 2) {
                    long double want = affine ? normal * w[of] + b[of] : normal;
                    report(F(close)(y[at], want, slack), "normalize", at, y[at], want);
                    sums[2] += h;
                    sums[3] += h * normal;
                    of_w[of] += g[at] * normal;
                    of_b[of] += g[at];
                } else {
                    long double want = scale * (h - sums[2] / count - normal * sums[3] / count);
                    report(F(close)(dx[at], want, 10 * slack), "normalize dx", at, dx[at], want);
                }
            }
        }
        report(F(close)(mean[group], sums[0] / count, slack), "mean", group, mean[group], 0);
        report(F(close)(var[group], sums[1] / count, 10 * slack), "var", group, var[group], 0);
    }
    for (size_t i = 0; i < weights && affine; i++) {
        report(F(close)(dw[i], of_w[i], 10 * slack), "normalize dw", i, dw[i], of_w[i]);
        report(F(close)(db[i], of_b[i], 10 * slack), "normalize db", i, db[i], of_b[i]);
    }
    release(&arena);
}

static void F(check_norms)(void)
{
    begin(sizeof(T) == 4 ? "normalisation f32" : "normalisation f64");
    for (size_t i = 1; i < COUNT(sizes); i++) {
        F(check_norm)(1, 5, sizes[i], 1, 1);
        F(check_norm)(3, 4, sizes[i], 0, 1);
        F(check_norm)(2, 3, sizes[i], 0, 0);
    }
    F(check_norm)(70, 3, 1, 0, 1);
    F(check_norm)(1, 70, 33, 1, 0);
    end();
}
