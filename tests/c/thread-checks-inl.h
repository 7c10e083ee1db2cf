/* thread-checks-inl.h: the bits of a result do not depend on the number of threads, for T; see
 * driver.c. */

static uint64_t F(mix)(uint64_t hash, const T *x, size_t n)
{
    const unsigned char *byte = (const unsigned char *)x;
    for (size_t i = 0; i < n * sizeof(T); i++) {
        hash = (hash ^ byte[i]) * 1099511628211u;
    }
    return hash;
}

static void F(fill)(T *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (T)((double)(i * 2654435761u % 1000003) / 250000.0 - 2);
    }
}

/* A hash of what several kernels compute from fixed data, large enough for several threads. */
static uint64_t F(work_bits)(void)
{
    enum { N = 100003, SIDE = 151, COLS = 331, ROWS = 302 };
    struct arena arena = {.count = 0};
    T *x = take(&arena, N * sizeof(T), sizeof(T));
    T *y = take(&arena, N * sizeof(T), 0);
    T *z = take(&arena, N * sizeof(T), 0);
    uint64_t hash = 14695981039346656037u;
    F(fill)(x, N);
    TG(tanh)(y, x, N);
    hash = F(mix)(hash, y, N);
    TG(gelu_grad)(z, x, x, y, N);
    hash = F(mix)(hash, z, N);
    TG(sum)(y, x, 1, N, 1);
    TG(sum)(y + 1, x, 2, N / 2, 1);
    hash = F(mix)(hash, y, 3);
    TG(sum)(y, x, 2, 30, 1500);
    TG(max)(y + 3000, x, 2, 30, 1500);
    hash = F(mix)(hash, y, 6000);
    TG(softmax)(y, x, ROWS, COLS);
    TG(log_softmax_grad)(z, x, y, ROWS, COLS);
    hash = F(mix)(F(mix)(hash, y, ROWS * COLS), z, ROWS * COLS);
    TG(gemm)(y, x, x + 7, SIDE, SIDE + 2, SIDE + 4, SIDE + 2, SIDE + 4, SIDE + 2, 0);
    hash = F(mix)(hash, y, SIDE * (SIDE + 2));
    TG(linear)(z, x, x + 5, x + 1, SIDE, SIDE + 2, SIDE + 4, TG_ACT_TANH);
    TG(linear_grad)(y, y + 30000, y + 60000, y + 70000, x, z, x, x + 5, SIDE, SIDE + 2, SIDE + 4,
                    TG_ACT_TANH);
    hash = F(mix)(hash, z, SIDE * (SIDE + 2));
    hash = F(mix)(hash, y, SIDE * (SIDE + 4));
    hash = F(mix)(hash, y + 30000, (SIDE + 2) * (SIDE + 4));
    hash = F(mix)(hash, y + 60000, SIDE + 2);
    struct tg_window window = {{20, 20}, {20, 20}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
    for (size_t images = 1; images <= 20; images += 19) { /* shared by products, and by images */
        TG(conv2d)(y, x, x + 5, x + 1, &window, images, 12, 12, 1, TG_ACT_TANH);
        hash = F(mix)(hash, y, images * 4800);
        TG(conv2d_grad)(z, y + 97000, y + 99000, x, y, x, x + 5, &window, images, 12, 12, 1,
                        TG_ACT_TANH);
        hash = F(mix)(hash, z, images * 4800);
        hash = F(mix)(hash, y + 97000, 1296);
        hash = F(mix)(hash, y + 99000, 12);
    }
    TG(normalize)(y, y + 97000, y + 98000, x, x + 3, x + 9, 20, 60, 80, 0, 0.1);
    TG(normalize_grad)(z, z + 97000, z + 98000, y, x, y + 97000, y + 98000, x + 3, 20, 60, 80, 0,
                       0.1);
    hash = F(mix)(F(mix)(hash, y, 96000), z, 96000);
    TG(normalize_grad)(z, z + 97000, z + 98000, y, x, y + 97000, y + 98000, x + 3, 1, 60, 800, 1,
                       0.1);
    hash = F(mix)(F(mix)(F(mix)(hash, z, 48000), z + 97000, 800), z + 98000, 800);
    T *w[] = {y};
    const T *g[] = {x};
    size_t size = N;
    TG(square)(y, x, N);
    TG(sgd)(w, NULL, g, &size, 1, 0.1, 0, 0, 0, 0.01, 0);
    hash = F(mix)(hash, y, N);
    release(&arena);
    return hash;
}

static void F(check_threads)(void)
{
    begin(sizeof(T) == 4 ? "thread counts f32" : "thread counts f64");
    tg_set_num_threads(1);
    uint64_t serial = F(work_bits)();
    for (size_t i = 0; i < COUNT(thread_counts); i++) {
        tg_set_num_threads(thread_counts[i]);
        for (int repeat = 0; repeat < 5; repeat++) {
            report(F(work_bits)() == serial, "threads", (size_t)thread_counts[i], 0, 0);
        }
    }
    tg_set_num_threads(2);
    end();
}
