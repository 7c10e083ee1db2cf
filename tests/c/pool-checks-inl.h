/* pool-checks-inl.h: pooling and its gradients against the definition, for T; see driver.c. */

/* The numbers of a plane that the window shows at a place, in reading order; their count. */
#ifndef TEST_POOL
#define TEST_POOL
static size_t shown(const struct tg_window *w, size_t place, size_t *pixels)
{
    size_t count = 0;
    for (size_t cell = 0; cell < w->kernel[0] * w->kernel[1]; cell++) {
        long pixel = seen(w, place / w->out[1], place % w->out[1], cell / w->kernel[1],
                          cell % w->kernel[1]);
        if (pixel >= 0) {
            pixels[count++] = (size_t)pixel;
        }
    }
    return count;
}
#endif

/* Values are few, so that there are ties, and some are NaN; sums of them are exact. */
static void F(check_pool)(struct tg_window w, size_t planes, int with_border)
{
    struct arena arena = {.count = 0};
    complete(&w);
    size_t places = w.out[0] * w.out[1];
    size_t size = w.size[0] * w.size[1];
    size_t cells = w.kernel[0] * w.kernel[1];
    T *x = take(&arena, planes * size * sizeof(T), sizeof(T));
    T *g = F(drawn)(&arena, planes * places, 1);
    T *y = take(&arena, planes * places * sizeof(T), sizeof(T));
    T *dx = take(&arena, planes * size * sizeof(T), sizeof(T));
    long double *want = zeros(&arena, planes * size);
    size_t *pixels = take(&arena, cells * sizeof(size_t), 0);
    for (size_t i = 0; i < planes * size; i++) {
        unsigned kind = random_bits() % 16;
        x[i] = kind == 0 ? (T)NAN : kind == 1 ? (T)-INFINITY : (T)(kind % 5);
    }
    report(TG(max_pool2d)(y, x, &w, planes) == TG_OK, "status", 0, 0, 0);
    report(TG(max_pool2d_grad)(dx, g, x, &w, planes) == TG_OK, "status", 1, 0, 0);
    for (size_t i = 0; i < planes * places; i++) {
        const T *plane = x + i / places * size;
        size_t count = shown(&w, i % places, pixels);
        size_t best = pixels[0];
        for (size_t k = 1; k < count; k++) {
            T v = plane[pixels[k]];
            best = v > plane[best] || (isnan(v) && !isnan(plane[best])) ? pixels[k] : best;
        }
        report(F(close)(y[i], plane[best], 0), "max_pool2d", i, y[i], plane[best]);
        want[i / places * size + best] += g[i];
    }
    for (size_t i = 0; i < planes * size; i++) {
        report(F(close)(dx[i], want[i], 40 * EPSILON), "max_pool2d_grad", i, dx[i], want[i]);
        want[i] = 0;
        x[i] = isfinite(x[i]) ? x[i] : 1;
    }
    TG(avg_pool2d)(y, x, &w, planes, with_border);
    TG(avg_pool2d_grad)(dx, g, &w, planes, with_border);
    for (size_t i = 0; i < planes * places; i++) {
        size_t count = shown(&w, i % places, pixels);
        size_t by = with_border ? cells : count;
        long double sum = 0;
        for (size_t k = 0; k < count; k++) {
            sum += x[i / places * size + pixels[k]];
            want[i / places * size + pixels[k]] += (long double)g[i] / (long double)by;
        }
        sum /= (long double)by;
        report(F(close)(y[i], sum, EPSILON * sum), "avg_pool2d", i, y[i], sum);
    }
    for (size_t i = 0; i < planes * size; i++) {
        report(F(close)(dx[i], want[i], 40 * EPSILON), "avg_pool2d_grad", i, dx[i], want[i]);
    }
    release(&arena);
}

static void F(check_pooling)(void)
{
    /* size, out, kernel, stride, padding, dilation */
    static const struct tg_window windows[] = {
        {{28, 28}, {0}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {{9, 71}, {0}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {{6, 70}, {0}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {{1, 1}, {0}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
        {{9, 33}, {0}, {3, 2}, {2, 2}, {1, 0}, {1, 1}},
        {{7, 6}, {0}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
        {{8, 5}, {0}, {2, 3}, {3, 2}, {1, 1}, {1, 1}},
        {{2, 2}, {0}, {2, 2}, {2, 2}, {1, 1}, {1, 1}},
        {{6, 40}, {0}, {1, 4}, {2, 1}, {0, 2}, {1, 1}},
    };
    begin(sizeof(T) == 4 ? "pooling f32" : "pooling f64");
    for (size_t i = 0; i < COUNT(windows); i++) {
        for (int with_border = 0; with_border < 2; with_border++) {
            F(check_pool)(windows[i], 0, with_border);
            F(check_pool)(windows[i], 3, with_border);
        }
    }
    F(check_pool)(windows[0], 100, 1);
    end();
}
