/* optim-inl.h: the updates of SGD and Adam, for one (instruction set, dtype).
 *
 * One call steps all parameters of a model. Each element of each array is read and written once,
 * so the speed is that of memory. The order of the arithmetic is PyTorch's (torch.optim, the plain
 * one-tensor form), multiply and add rounded apart. For float, the constants are doubles rounded
 * once. */

struct NAME(sgd_step) {
    T *w;
    T *momentum;
    const T *g; /* the gradient, or v of a gradient u v^T with so many columns */
    const T *u;
    size_t cols;
    V lr;
    V mu;
    V keep; /* 1 - dampening */
    V decay;
    int nesterov;
    int first;
};

/* One vector: g += decay w; buffer = mu buffer + (1 - dampening) g, or g on the first step; the
 * step is along the buffer, or along g + mu buffer (Nesterov). */
WORD void NAME(sgd_vector)(const struct NAME(sgd_step) *s, size_t i, size_t n, V g)
{
    V w = vload_n(s->w + i, n);
    V gradient = g + s->decay * w;
    V step = gradient;
    if (s->momentum != NULL) {
        V buffer = gradient;
        if (!s->first) {
            buffer = s->mu * vload_n(s->momentum + i, n) + s->keep * gradient;
        }
        vstore_n(s->momentum + i, buffer, n);
        step = buffer;
        if (s->nesterov) {
            step = gradient + s->mu * buffer;
        }
    }
    vstore_n(s->w + i, w - s->lr * step, n);
}

static void NAME(sgd_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(sgd_step) s = *(const struct NAME(sgd_step) *)context;
    size_t i = begin;
    for (; i + LANES <= end; i += LANES) {
        NAME(sgd_vector)(&s, i, LANES, vload(s.g + i));
    }
    if (i < end) {
        NAME(sgd_vector)(&s, i, end - i, vload_n(s.g + i, end - i));
    }
}

/* Rows [begin, end) of a weight (rows, cols) whose gradient is u v^T: it is made as it is used. */
static void NAME(sgd_outer_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(sgd_step) s = *(const struct NAME(sgd_step) *)context;
    for (size_t row = begin; row < end; row++) {
        V u = vset(s.u[row]);
        size_t i = 0;
        for (; i + LANES <= s.cols; i += LANES) {
            NAME(sgd_vector)(&s, row * s.cols + i, LANES, u * vload(s.g + i));
        }
        if (i < s.cols) {
            size_t n = s.cols - i;
            NAME(sgd_vector)(&s, row * s.cols + i, n, u * vload_n(s.g + i, n));
        }
    }
}

WORD struct NAME(sgd_step) NAME(sgd_numbers)(double lr, double mu, double dampening, int nesterov,
                                             double weight_decay, int first)
{
    return (struct NAME(sgd_step)){
        .lr = vset((T)lr),
        .mu = vset((T)mu),
        .keep = vset((T)(1 - dampening)),
        .decay = vset((T)weight_decay),
        .nesterov = nesterov,
        .first = first,
    };
}

/* Rows of so many elements that a thread is worth waking for. */
WORD size_t NAME(row_grain)(size_t cols)
{
    return TG_GRAIN / tg_max(cols, 1) + 1;
}

static int NAME(sgd_outer)(T *const *w, T *const *momentum, const T *const *u, const T *const *v,
                           const size_t *rows, const size_t *cols, size_t count, double lr,
                           double mu, double dampening, int nesterov, double weight_decay,
                           int first)
{
    struct NAME(sgd_step) s = NAME(sgd_numbers)(lr, mu, dampening, nesterov, weight_decay, first);
    for (size_t i = 0; i < count; i++) {
        s.w = w[i];
        s.momentum = momentum == NULL ? NULL : momentum[i];
        s.u = u[i];
        s.g = v[i];
        s.cols = cols[i];
        tg_parallel_for(rows[i], NAME(row_grain)(cols[i]), NAME(sgd_outer_task), &s);
    }
    return TG_OK;
}

static int NAME(sgd)(T *const *w, T *const *momentum, const T *const *g, const size_t *sizes,
                     size_t count, double lr, double mu, double dampening, int nesterov,
                     double weight_decay, int first)
{
    struct NAME(sgd_step) s = NAME(sgd_numbers)(lr, mu, dampening, nesterov, weight_decay, first);
    for (size_t i = 0; i < count; i++) {
        s.w = w[i];
        s.momentum = momentum == NULL ? NULL : momentum[i];
        s.g = g[i];
        tg_parallel_for(sizes[i], TG_GRAIN, NAME(sgd_task), &s);
    }
    return TG_OK;
}

struct NAME(adam_step) {
    T *w;
    T *m;
    T *v;
    const T *g; /* as in sgd_step */
    const T *u;
    size_t cols;
    V decay;        /* weight decay added to the gradient */
    V shrink;       /* 1 - lr * weight decay, when decoupled (AdamW) */
    V one_minus_b1;
    V b2;
    V one_minus_b2;
    V root_bias2;   /* sqrt(1 - beta2^t) */
    V eps;
    V step;         /* lr / (1 - beta1^t) */
};

/* One vector. D. P. Kingma and J. Ba, Adam, ICLR 2015, algorithm 1; AdamW: I. Loshchilov and F.
 * Hutter, ICLR 2019. m is updated as m + (g - m) (1 - beta1), v as beta2 v + (1 - beta2) g g. */
WORD void NAME(adam_vector)(const struct NAME(adam_step) *s, size_t i, size_t n, V gradient)
{
    V w = vload_n(s->w + i, n) * s->shrink;
    V g = gradient + s->decay * w;
    V m = vload_n(s->m + i, n);
    V v = vload_n(s->v + i, n);
    m = m + s->one_minus_b1 * (g - m);
    v = v * s->b2 + s->one_minus_b2 * g * g;
    vstore_n(s->m + i, m, n);
    vstore_n(s->v + i, v, n);
    V denominator = vsqrt(v) / s->root_bias2 + s->eps;
    vstore_n(s->w + i, w - s->step * m / denominator, n);
}

static void NAME(adam_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(adam_step) s = *(const struct NAME(adam_step) *)context;
    size_t i = begin;
    for (; i + LANES <= end; i += LANES) {
        NAME(adam_vector)(&s, i, LANES, vload(s.g + i));
    }
    if (i < end) {
        NAME(adam_vector)(&s, i, end - i, vload_n(s.g + i, end - i));
    }
}

static void NAME(adam_outer_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(adam_step) s = *(const struct NAME(adam_step) *)context;
    for (size_t row = begin; row < end; row++) {
        V u = vset(s.u[row]);
        size_t i = 0;
        for (; i + LANES <= s.cols; i += LANES) {
            NAME(adam_vector)(&s, row * s.cols + i, LANES, u * vload(s.g + i));
        }
        if (i < s.cols) {
            size_t n = s.cols - i;
            NAME(adam_vector)(&s, row * s.cols + i, n, u * vload_n(s.g + i, n));
        }
    }
}

WORD struct NAME(adam_step) NAME(adam_numbers)(double lr, double beta1, double beta2, double eps,
                                               double weight_decay, int decoupled, double bias1,
                                               double bias2)
{
    return (struct NAME(adam_step)){
        .decay = vset((T)(decoupled ? 0 : weight_decay)),
        .shrink = vset((T)(decoupled ? 1 - lr * weight_decay : 1)),
        .one_minus_b1 = vset((T)(1 - beta1)),
        .b2 = vset((T)beta2),
        .one_minus_b2 = vset((T)(1 - beta2)),
        .root_bias2 = vset((T)sqrt(bias2)),
        .eps = vset((T)eps),
        .step = vset((T)(lr / bias1)),
    };
}

static int NAME(adam_outer)(T *const *w, T *const *m, T *const *v, const T *const *left,
                            const T *const *right, const size_t *rows, const size_t *cols,
                            size_t count, double lr, double beta1, double beta2, double eps,
                            double weight_decay, int decoupled, double bias1, double bias2)
{
    struct NAME(adam_step) s = NAME(adam_numbers)(lr, beta1, beta2, eps, weight_decay, decoupled,
                                                  bias1, bias2);
    for (size_t i = 0; i < count; i++) {
        s.w = w[i];
        s.m = m[i];
        s.v = v[i];
        s.u = left[i];
        s.g = right[i];
        s.cols = cols[i];
        tg_parallel_for(rows[i], NAME(row_grain)(cols[i]), NAME(adam_outer_task), &s);
    }
    return TG_OK;
}

static int NAME(adam)(T *const *w, T *const *m, T *const *v, const T *const *g, const size_t *sizes,
                      size_t count, double lr, double beta1, double beta2, double eps,
                      double weight_decay, int decoupled, double bias1, double bias2)
{
    struct NAME(adam_step) s = NAME(adam_numbers)(lr, beta1, beta2, eps, weight_decay, decoupled,
                                                  bias1, bias2);
    for (size_t i = 0; i < count; i++) {
        s.w = w[i];
        s.m = m[i];
        s.v = v[i];
        s.g = g[i];
        tg_parallel_for(sizes[i], TG_GRAIN, NAME(adam_task), &s);
    }
    return TG_OK;
}
