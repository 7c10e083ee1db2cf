/* optim-inl.h: the updates of SGD and Adam, for one (instruction set, dtype).
 *
 * One call steps all parameters of a model. Each element of each array is read and written once,
 * so the speed is that of memory. The order of the arithmetic is PyTorch's (torch.optim, the plain
 * one-tensor form), multiply and add rounded apart. For float, the constants are doubles rounded
 * once. */

struct NAME(sgd_step) {
    T *w;
    T *momentum;
    const T *g;
    V lr;
    V mu;
    V keep; /* 1 - dampening */
    V decay;
    int nesterov;
    int first;
};

/* One vector: g += decay w; buffer = mu buffer + (1 - dampening) g, or g on the first step; the
 * step is along the buffer, or along g + mu buffer (Nesterov). */
WORD void NAME(sgd_vector)(const struct NAME(sgd_step) *s, size_t i, size_t n)
{
    V w = vload_n(s->w + i, n);
    V gradient = vload_n(s->g + i, n) + s->decay * w;
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
        NAME(sgd_vector)(&s, i, LANES);
    }
    if (i < end) {
        NAME(sgd_vector)(&s, i, end - i);
    }
}

static int NAME(sgd)(T *const *w, T *const *momentum, const T *const *g, const size_t *sizes,
                     size_t count, double lr, double mu, double dampening, int nesterov,
                     double weight_decay, int first)
{
    struct NAME(sgd_step) s = {
        .lr = vset((T)lr),
        .mu = vset((T)mu),
        .keep = vset((T)(1 - dampening)),
        .decay = vset((T)weight_decay),
        .nesterov = nesterov,
        .first = first,
    };
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
    const T *g;
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
WORD void NAME(adam_vector)(const struct NAME(adam_step) *s, size_t i, size_t n)
{
    V w = vload_n(s->w + i, n) * s->shrink;
    V g = vload_n(s->g + i, n) + s->decay * w;
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
        NAME(adam_vector)(&s, i, LANES);
    }
    if (i < end) {
        NAME(adam_vector)(&s, i, end - i);
    }
}

static int NAME(adam)(T *const *w, T *const *m, T *const *v, const T *const *g, const size_t *sizes,
                      size_t count, double lr, double beta1, double beta2, double eps,
                      double weight_decay, int decoupled, double bias1, double bias2)
{
    struct NAME(adam_step) s = {
        .decay = vset((T)(decoupled ? 0 : weight_decay)),
        .shrink = vset((T)(decoupled ? 1 - lr * weight_decay : 1)),
        .one_minus_b1 = vset((T)(1 - beta1)),
        .b2 = vset((T)beta2),
        .one_minus_b2 = vset((T)(1 - beta2)),
        .root_bias2 = vset((T)sqrt(bias2)),
        .eps = vset((T)eps),
        .step = vset((T)(lr / bias1)),
    };
    for (size_t i = 0; i < count; i++) {
        s.w = w[i];
        s.m = m[i];
        s.v = v[i];
        s.g = g[i];
        tg_parallel_for(sizes[i], TG_GRAIN, NAME(adam_task), &s);
    }
    return TG_OK;
}
