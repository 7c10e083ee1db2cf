/* conv-checks-inl.h: conv2d and its gradients against the definition, for T; see driver.c. */

#ifndef TEST_WINDOW
#define TEST_WINDOW
/* A convolution to be tested. */
struct conv_case {
    struct tg_window window; /* out follows */
    size_t images, channels, out, groups;
};

static void complete(struct tg_window *w)
{
    for (int d = 0; d < 2; d++) {
        size_t span = w->dilation[d] * (w->kernel[d] - 1) + 1;
        w->out[d] = (w->size[d] + 2 * w->padding[d] - span) / w->stride[d] + 1;
    }
}

/* The number of the pixel that cell (i, j) sees from place (y, x), or -1 for the border. */
static long seen(const struct tg_window *w, size_t y, size_t x, size_t i, size_t j)
{
    long down = (long)(y * w->stride[0] + i * w->dilation[0]) - (long)w->padding[0];
    long across = (long)(x * w->stride[1] + j * w->dilation[1]) - (long)w->padding[1];
    int inside = down >= 0 && down < (long)w->size[0] && across >= 0 && across < (long)w->size[1];
    return inside ? down * (long)w->size[1] + across : -1;
}
#endif

/* The sums that a convolution and its gradient are, and the sums of their terms' sizes. */
struct F(conv_sums) {
    long double *z, *dx, *dw, *db;
    long double *z_size, *dx_size, *dw_size, *db_size;
};

/* Every product of a convolution, added to where it belongs: z from x w, dx from w g, dw from x
 * g. */
static void F(convolve)(const struct conv_case *c, const T *x, const T *w, const T *g,
                        struct F(conv_sums) *s)
{
    const struct tg_window *v = &c->window;
    size_t pixels = v->size[0] * v->size[1];
    size_t cells = v->kernel[0] * v->kernel[1];
    size_t places = v->out[0] * v->out[1];
    size_t in = c->channels / c->groups;
    size_t count = c->images * c->out * places * in * cells;
    for (size_t term = 0; term < count; term++) {
        size_t j = term % v->kernel[1];
        size_t i = term / v->kernel[1] % v->kernel[0];
        size_t k = term / cells % in;
        size_t at = term / cells / in; /* of y */
        size_t o = at / places % c->out;
        size_t image = at / places / c->out;
        long pixel = seen(v, at % places / v->out[1], at % v->out[1], i, j);
        if (pixel < 0) {
            continue;
        }
        size_t channel = o / (c->out / c->groups) * in + k;
        size_t of_x = (image * c->channels + channel) * pixels + (size_t)pixel;
        size_t of_w = (o * in + k) * cells + i * v->kernel[1] + j;
        long double a = x[of_x];
        long double b = w[of_w];
        long double d = g[at];
        s->z[at] += a * b;
        s->z_size[at] += fabsl(a * b);
        s->dx[of_x] += d * b;
        s->dx_size[of_x] += fabsl(d * b);
        s->dw[of_w] += d * a;
        s->dw_size[of_w] += fabsl(d * a);
    }
}

static void F(check_sums)(const char *what, const T *got, const long double *want,
                          const long double *size, size_t n, size_t terms)
{
    for (size_t i = 0; i < n; i++) {
        long double slack = EPSILON * ((long double)terms + 8) * (size[i] + 1);
        report(F(close)(got[i], want[i], slack), what, i, got[i], want[i]);
    }
}

static void F(check_conv)(struct conv_case c, int act, int with_bias)
{
    struct arena arena = {.count = 0};
    complete(&c.window);
    const struct tg_window *v = &c.window;
    size_t places = v->out[0] * v->out[1];
    size_t n_x = c.images * c.channels * v->size[0] * v->size[1];
    size_t cells = c.channels / c.groups * v->kernel[0] * v->kernel[1];
    size_t n_w = c.out * cells;
    size_t n_y = c.images * c.out * places;
    T *x = F(drawn)(&arena, n_x, 1);
    T *w = F(drawn)(&arena, n_w, 1);
    T *g = F(drawn)(&arena, n_y, 1);
    T *bias = with_bias ? F(drawn)(&arena, c.out, 0) : NULL;
    T *y = take(&arena, n_y * sizeof(T), sizeof(T));
    T *dx = take(&arena, n_x * sizeof(T), sizeof(T));
    T *dw = take(&arena, n_w * sizeof(T), sizeof(T));
    T *db = with_bias ? take(&arena, c.out * sizeof(T), sizeof(T)) : NULL;
    T *delta = take(&arena, n_y * sizeof(T), 0);
    struct F(conv_sums) s = {
        zeros(&arena, n_y), zeros(&arena, n_x), zeros(&arena, n_w), zeros(&arena, c.out),
        zeros(&arena, n_y), zeros(&arena, n_x), zeros(&arena, n_w), zeros(&arena, c.out),
    };
    int status = TG(conv2d)(y, x, w, bias, v, c.images, c.channels, c.out, c.groups, act);
    report(status == TG_OK, "conv2d", 0, status, 0);
    for (size_t i = 0; i < n_y; i++) {
        delta[i] = (T)(g[i] * F(act_slope)(y[i], act));
        size_t o = i / places % c.out;
        s.z[i] = with_bias ? bias[o] : 0;
        s.z_size[i] = fabsl(s.z[i]);
        s.db[o] += delta[i];
        s.db_size[o] += fabsl((long double)delta[i]);
    }
    F(convolve)(&c, x, w, delta, &s);
    for (size_t i = 0; i < n_y; i++) {
        s.z[i] = F(activate)(s.z[i], act);
    }
    F(check_sums)("conv2d", y, s.z, s.z_size, n_y, cells);
    status = TG(conv2d_grad)(dx, dw, db, g, y, x, w, v, c.images, c.channels, c.out, c.groups, act);
    report(status == TG_OK, "grad", 0, status, 0);
    F(check_sums)("conv2d dx", dx, s.dx, s.dx_size, n_x, cells * c.out);
    F(check_sums)("conv2d dw", dw, s.dw, s.dw_size, n_w, places * c.images);
    F(check_sums)("conv2d db", db ? db : dw, s.db, s.db_size, db ? c.out : 0, places * c.images);
    memset(dx, 255, n_x * sizeof(T));
    memset(dw, 255, n_w * sizeof(T));
    T *none = NULL;
    TG(conv2d_grad)(dx, none, none, g, y, none, w, v, c.images, c.channels, c.out, c.groups, act);
    TG(conv2d_grad)(none, dw, none, g, y, x, none, v, c.images, c.channels, c.out, c.groups, act);
    F(check_sums)("conv2d dx alone", dx, s.dx, s.dx_size, n_x, cells * c.out);
    F(check_sums)("conv2d dw alone", dw, s.dw, s.dw_size, n_w, places * c.images);
    release(&arena);
}

static void F(check_convolutions)(void)
{
    /* size, out, kernel, stride, padding, dilation; images, channels, out, groups */
    static const struct conv_case cases[] = {
        {{{1, 1}, {0}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}, 1, 1, 1, 1},
        {{{28, 28}, {0}, {5, 5}, {1, 1}, {2, 2}, {1, 1}}, 2, 1, 6, 1},
        {{{14, 14}, {0}, {5, 5}, {1, 1}, {0, 0}, {1, 1}}, 19, 6, 16, 1},
        {{{9, 7}, {0}, {3, 2}, {2, 3}, {1, 2}, {2, 1}}, 3, 4, 6, 2},
        {{{5, 19}, {0}, {2, 3}, {1, 2}, {0, 4}, {1, 3}}, 2, 2, 3, 1},
        {{{3, 40}, {0}, {3, 3}, {3, 1}, {1, 1}, {1, 1}}, 5, 6, 6, 6},
        {{{6, 6}, {0}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}, 2, 17, 5, 1},
        {{{2, 3}, {0}, {2, 2}, {4, 4}, {3, 3}, {1, 1}}, 1, 1, 20, 1},
        {{{4, 3}, {0}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}, 0, 2, 3, 1},
        {{{3, 1200}, {0}, {3, 9}, {1, 1}, {1, 4}, {1, 1}}, 1, 24, 2, 1}, /* rows cut in blocks */
        {{{40, 60}, {0}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}, 1, 24, 3, 1},  /* blocks of rows */
        {{{60, 33}, {0}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}, 1, 5, 32, 1},
        {{{20, 13}, {0}, {3, 2}, {1, 1}, {2, 0}, {2, 1}}, 3, 8, 32, 2},
        {{{31, 30}, {0}, {3, 3}, {2, 2}, {1, 1}, {1, 1}}, 2, 3, 31, 1},
    };
    begin(sizeof(T) == 4 ? "convolution f32" : "convolution f64");
    for (size_t i = 0; i < COUNT(cases); i++) {
        F(check_conv)(cases[i], TG_ACT_NONE, 1);
        F(check_conv)(cases[i], i % 2 ? TG_ACT_RELU : TG_ACT_TANH, i % 3 > 0);
    }
    F(check_conv)(cases[3], TG_ACT_SIGMOID, 0);
    end();
}
