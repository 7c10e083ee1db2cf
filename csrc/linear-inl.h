/* The dense layer, y = act(x w^T + bias), and its gradient. The products are gemm's; what is added
 * here happens while the numbers are still in the cache: bias and activation on each part of y as
 * it is completed, act' and the sum over the batch in one pass. */

/* What is done to y once the product is there. */
struct NAME(epilogue) {
    const T *bias; /* or NULL */
    int act;
};

WORD V NAME(activate)(V z, const int act)
{
    return act == TG_ACT_RELU      ? vmax(vzero(), z)
           : act == TG_ACT_SIGMOID ? vsigmoid(z)
           : act == TG_ACT_TANH    ? vtanh(z)
                                   : z;
}

/* g * act'(z), from y = act(z). */
WORD V NAME(through_activation)(V g, V y, const int act)
{
    V one = vset(1);
    switch (act) {
    case TG_ACT_RELU:
        return vselect(vgt(y, vzero()), g, vzero());
    case TG_ACT_SIGMOID:
        return g * (y * (one - y));
    case TG_ACT_TANH:
        return g * (one - y * y);
    default:
        return g;
    }
}

/* act(y + bias) in place, on rows of `cols` numbers; act is a constant where this is called. */
WORD void NAME(finish_rows)(T *y, size_t rows, size_t cols, size_t ld, const T *bias, const int act)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j += LANES) {
            T *to = y + i * ld + j;
            size_t width = tg_min(LANES, cols - j);
            V z = NAME(load_upto)(to, width);
            if (bias) {
                z = z + NAME(load_upto)(bias + j, width);
            }
            NAME(store_upto)(to, NAME(activate)(z, act), width);
        }
    }
}

/* gemm's `finish` for a dense layer. */
static void NAME(finish_linear)(T *y, size_t rows, size_t cols, size_t ld, size_t first,
                                const void *context)
{
    const struct NAME(epilogue) *e = context;
    const T *bias = e->bias ? e->bias + first : NULL;
    switch (e->act) {
    case TG_ACT_RELU:
        NAME(finish_rows)(y, rows, cols, ld, bias, TG_ACT_RELU);
        break;
    case TG_ACT_SIGMOID:
        NAME(finish_rows)(y, rows, cols, ld, bias, TG_ACT_SIGMOID);
        break;
    case TG_ACT_TANH:
        NAME(finish_rows)(y, rows, cols, ld, bias, TG_ACT_TANH);
        break;
    default:
        NAME(finish_rows)(y, rows, cols, ld, bias, TG_ACT_NONE);
    }
}

/* y (batch, out) = act(x (batch, in) w^T + bias), w (out, in), bias (out) or NULL. */
static int NAME(linear)(T *y, const T *x, const T *w, const T *bias, size_t batch, size_t out,
                        size_t in, int act)
{
    struct NAME(epilogue) epilogue = {bias, act};
    struct NAME(product) product = {.c = y, .a = x, .b = w, .m = batch, .n = out, .k = in};
    product.ldc = out;
    product.lda = in;
    product.ldb = in;
    product.flags = TG_TRANS_B;
    if (bias || act != TG_ACT_NONE) {
        product.finish = NAME(finish_linear);
        product.context = &epilogue;
    }
    return NAME(multiply)(&product);
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* Rows whose sum is finished before it is added to db: it keeps the rounding errors of a long
 * batch small. */
#undef CHUNK
#define CHUNK ((size_t)64)

struct NAME(linear_grad) {
    T *dz, *db; /* each or NULL */
    const T *g, *y;
    size_t batch, out;
    int act;
};

/* Two vectors of columns, the last of them `width` lanes: dz = g * act'(y) and db = the sum of dz
 * over the batch. The rows are added in order, CHUNK at a time. act and vectors are constants
 * where this is called. */
WORD void NAME(through_columns)(const struct NAME(linear_grad) *l, size_t j, const size_t vectors,
                                size_t width, const int act)
{
    V total[2];
    total[0] = total[1] = vzero();
    for (size_t begin = 0; begin < l->batch; begin += CHUNK) {
        V sum[2];
        sum[0] = sum[1] = vzero();
        for (size_t i = begin; i < l->batch && i < begin + CHUNK; i++) {
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                size_t at = i * l->out + j + v * LANES;
                V dz = NAME(load_upto)(l->g + at, width);
                if (act != TG_ACT_NONE) {
                    dz = NAME(through_activation)(dz, NAME(load_upto)(l->y + at, width), act);
                    NAME(store_upto)(l->dz + at, dz, width);
                }
                sum[v] = sum[v] + dz;
            }
        }
        total[0] = total[0] + sum[0];
        total[1] = total[1] + sum[1];
    }
    if (l->db) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            NAME(store_upto)(l->db + j + v * LANES, total[v], width);
        }
    }
}

/* Columns [begin, end), two vectors at a time. */
WORD void NAME(through_range)(const struct NAME(linear_grad) *l, size_t begin, size_t end,
                              const int act)
{
    size_t j = begin;
    for (; end - j >= 2 * LANES; j += 2 * LANES) {
        NAME(through_columns)(l, j, 2, LANES, act);
    }
    for (; j < end; j += LANES) {
        NAME(through_columns)(l, j, 1, tg_min(LANES, end - j), act);
    }
}

static void NAME(through_task)(void *context, size_t begin, size_t end)
{
    const struct NAME(linear_grad) *l = context;
    switch (l->act) {
    case TG_ACT_RELU:
        NAME(through_range)(l, begin, end, TG_ACT_RELU);
        break;
    case TG_ACT_SIGMOID:
        NAME(through_range)(l, begin, end, TG_ACT_SIGMOID);
        break;
    case TG_ACT_TANH:
        NAME(through_range)(l, begin, end, TG_ACT_TANH);
        break;
    default:
        NAME(through_range)(l, begin, end, TG_ACT_NONE);
    }
}

/* dx (batch, in) = dz w, dw (out, in) = dz^T x, db (out) = the sum of dz over the batch, where dz
 * (batch, out) = g * act'(y). Each of dx, dw, db may be NULL. dz is a workspace, NULL allowed when
 * act is TG_ACT_NONE: dz is g then. */
static int NAME(linear_grad)(T *dx, T *dw, T *db, T *dz, const T *g, const T *y, const T *x,
                             const T *w, size_t batch, size_t out, size_t in, int act)
{
    struct NAME(linear_grad)
        l = {.dz = dz, .db = db, .g = g, .y = y, .batch = batch, .out = out, .act = act};
    int status = TG_OK;
    if (db || act != TG_ACT_NONE) {
        size_t strip = 2 * LANES;
        tg_parallel_for(out, NAME(ratio_up)(TG_GRAIN, strip * tg_max(1, batch)) * strip,
                        NAME(through_task), &l);
    }
    const T *through = act == TG_ACT_NONE ? g : dz;
    if (dx) {
        status = NAME(gemm)(dx, through, w, batch, in, out, in, out, in, 0);
    }
    if (dw && status == TG_OK) {
        status = NAME(gemm)(dw, through, x, out, in, batch, in, out, in, TG_TRANS_A);
    }
    return status;
}
