/* conv-direct-inl.h: convolution of stride 1 without columns; see conv-inl.h.
 *
 * A cell shows the laid image shifted by an offset, so a row of the columns need not be written: it
 * can be read there. The places are counted along the laid rows, border and all, so that any vector
 * of them is one load; what lies between two rows of the map is dropped when the activation is
 * applied. A tile is ROWS out channels by VECTORS vectors of places, and the multiply-adds bound
 * it. */

/* Registers: ROWS * VECTORS sums, VECTORS loads and a factor. */
#undef ROWS
#undef VECTORS
#if defined(TG_AVX512) || defined(TG_NEON)
#define ROWS 8
#define VECTORS 3
#else
#define ROWS 4
#define VECTORS 2
#endif
/* Numbers of y that are worked on at a time. */
#undef DIRECT_BLOCK
#define DIRECT_BLOCK (((size_t)64 << 10) / sizeof(T))

/* z (rows, vectors) = bias + the sum over p < count of w[p * ROWS + row] times the vectors at
 * image + offset[p]; rows and vectors are constants where this is called. */
WORD void NAME(direct_tile)(T *z, size_t ldz, const T *w, const T *bias, const T *image,
                            const size_t *offset, size_t count, const size_t rows,
                            const size_t vectors)
{
    V sum[ROWS][VECTORS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            sum[r][v] = vset(bias[r]);
        }
    }
    for (size_t p = 0; p < count; p++, w += ROWS) {
        const T *from = image + offset[p];
        V seen[VECTORS];
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            seen[v] = vload(from + v * LANES);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            V weight = vset(w[r]);
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[r][v] = vfma(weight, seen[v], sum[r][v]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            vstore(z + r * ldz + v * LANES, sum[r][v]);
        }
    }
}

#define CASE(r, n)                                                                                 \
    case 4 * (r) + (n):                                                                            \
        NAME(direct_tile)(z, ldz, w, bias, image, offset, count, r, n);                            \
        return;
static void NAME(direct_tiles)(T *z, size_t ldz, const T *w, const T *bias, const T *image,
                               const size_t *offset, size_t count, size_t rows, size_t vectors)
{
    switch (4 * rows + vectors) {
        CASE(2, 1)
        CASE(2, 2)
        CASE(4, 1)
        CASE(4, 2)
#if ROWS == 8
        CASE(2, 3)
        CASE(4, 3)
        CASE(6, 1)
        CASE(6, 2)
        CASE(6, 3)
        CASE(8, 1)
        CASE(8, 2)
        CASE(8, 3)
#endif
    default:
        return;
    }
}
#undef CASE

/* What the forward kernel prepares once for all images. */
struct NAME(direct) {
    const struct NAME(conv) *v;
    const T *image;
    const T *w;            /* of each group, packed in panels of ROWS out channels */
    const T *bias;         /* of each group, `out` of them rounded up to ROWS */
    const size_t *offset;  /* where each cell looks, in a laid image */
    size_t panels, panel_size, rows_of_block;
    size_t of_kernel_row; /* of the cells, which are then in the order of these rows; else 0 */
    T *y;
    int status;
};

/* The cells [begin, end) that a block of rows from y0 needs: the rows of the kernel that see only
 * border are left out. */
WORD void NAME(needed_cells)(const struct NAME(direct) *d, size_t y0, size_t rows, size_t *begin,
                             size_t *end)
{
    const struct tg_window *w = &d->v->window;
    *begin = 0;
    *end = d->v->cells;
    if (d->of_kernel_row) {
        size_t border = w->padding[0];
        size_t last = y0 + rows - 1;
        size_t hidden = last < border ? NAME(ratio_up)(border - last, w->dilation[0]) : 0;
        size_t seen = NAME(ratio_up)(border + w->size[0] - y0, w->dilation[0]);
        *begin = hidden * d->of_kernel_row;
        *end = tg_min(w->kernel[0], seen) * d->of_kernel_row;
    }
}

WORD void NAME(activate_rows)(const struct NAME(conv) *v, T *y, const T *z, size_t rows,
                              const int act)
{
    size_t width = v->window.out[1];
    for (size_t i = 0; i < rows; i++, y += width, z += v->pitch) {
        for (size_t x = 0; x < width; x += LANES) {
            NAME(store_upto)(y + x, NAME(activate)(vload(z + x), act), width - x);
        }
    }
}

/* y = act(z) without what lies between the rows. */
static void NAME(drop_border)(const struct NAME(conv) *v, T *y, const T *z, size_t rows)
{
    switch (v->act) {
    case TG_ACT_RELU:
        NAME(activate_rows)(v, y, z, rows, TG_ACT_RELU);
        break;
    case TG_ACT_SIGMOID:
        NAME(activate_rows)(v, y, z, rows, TG_ACT_SIGMOID);
        break;
    case TG_ACT_TANH:
        NAME(activate_rows)(v, y, z, rows, TG_ACT_TANH);
        break;
    default:
        NAME(activate_rows)(v, y, z, rows, TG_ACT_NONE);
    }
}

/* Blocks [begin, end) of rows of the map, all out channels of a group. */
static void NAME(direct_task)(void *context, size_t begin, size_t end)
{
    struct NAME(direct) *d = context;
    const struct NAME(conv) *v = d->v;
    const size_t *out = v->window.out;
    size_t ldz = NAME(whole_vectors)((d->rows_of_block - 1) * v->pitch + out[1]) + LANES;
    T *z = tg_scratch(d->panels * ROWS * ldz * sizeof(T));
    tg_note(&d->status, z ? TG_OK : TG_ENOMEM);
    for (size_t block = begin; z && block < end; block++) {
        size_t y0 = block * d->rows_of_block;
        size_t rows = tg_min(d->rows_of_block, out[0] - y0);
        size_t all = NAME(ratio_up)((rows - 1) * v->pitch + out[1], LANES);
        size_t first_cell, last_cell;
        NAME(needed_cells)(d, y0, rows, &first_cell, &last_cell);
        for (size_t panel = 0; panel < d->panels; panel++) {
            size_t first = panel * ROWS;
            size_t computed = tg_min(ROWS, (v->out - first + 1) / 2 * 2);
            for (size_t i = 0; i < all; i += VECTORS) {
                NAME(direct_tiles)(z + first * ldz + i * LANES, ldz,
                                   d->w + panel * d->panel_size + first_cell * ROWS,
                                   d->bias + first, d->image + y0 * v->pitch + i * LANES,
                                   d->offset + first_cell, last_cell - first_cell, computed,
                                   tg_min(VECTORS, all - i));
            }
        }
        for (size_t o = 0; o < v->out; o++) {
            NAME(drop_border)(v, d->y + o * v->places + y0 * out[1], z + o * ldz, rows);
        }
    }
}

/* Whether this file's forward kernel is for the window: with stride 1, and when little is computed
 * only to be dropped. */
static int NAME(is_direct)(const struct NAME(conv) *v)
{
    const struct tg_window *w = &v->window;
    return w->stride[0] == 1 && w->stride[1] == 1 &&
           2 * ((w->out[0] - 1) * v->pitch + w->out[1]) <= 3 * v->places + 2 * LANES;
}

/* Room for weights, bias and offsets in one scratch buffer: NULL when memory is out. */
static size_t *NAME(plan_direct)(struct NAME(direct) *d, T **weights, T **bias)
{
    const struct NAME(conv) *v = d->v;
    size_t packed = v->groups * d->panels * d->panel_size;
    size_t biases = v->groups * d->panels * ROWS;
    size_t listed = NAME(ratio_up)(v->cells, 8) * 8; /* whole cache lines */
    size_t *offset = tg_scratch_of(TG_OF_KERNEL,
                                   listed * sizeof(size_t) + (packed + biases) * sizeof(T));
    if (offset != NULL) {
        *weights = (T *)(void *)(offset + listed);
        *bias = *weights + packed;
        memset(*bias, 0, biases * sizeof(T));
        d->w = *weights;
        d->bias = *bias;
        d->offset = offset;
    }
    d->status = offset ? TG_OK : TG_ENOMEM;
    return offset;
}

/* Pack weights and bias, and list the offsets. */
static void NAME(pack_direct)(struct NAME(direct) *d, const T *bias)
{
    const struct NAME(conv) *v = d->v;
    T *packed, *packed_bias;
    size_t *offset = NAME(plan_direct)(d, &packed, &packed_bias);
    if (offset == NULL) {
        return;
    }
    NAME(list_cells)(v, offset);
    for (size_t i = 0; i < v->groups * d->panels; i++) {
        size_t o = i % d->panels * ROWS;
        size_t lines = tg_min(ROWS, v->out - o);
        size_t first = i / d->panels * v->out + o;
        NAME(pack)(packed + i * d->panel_size, ROWS, d->panel_size, 1, v->w + first * v->cells,
                   lines, v->cells, v->cells, 1);
        if (bias) {
            memcpy(packed_bias + i * ROWS, bias + first, lines * sizeof(T));
        }
    }
}

/* The cuts of the forward kernel. */
static struct NAME(direct) NAME(direct)(const struct NAME(conv) *v)
{
    struct NAME(direct) d = {.v = v};
    d.panels = NAME(ratio_up)(v->out, ROWS);
    d.panel_size = NAME(panel_size)(ROWS, v->cells);
    d.rows_of_block = tg_max(1, tg_min(v->window.out[0], DIRECT_BLOCK / (v->out * v->pitch)));
    return d;
}

/* Groups [begin, end) of the images, counted through all images. */
static void NAME(direct_groups)(void *context, size_t begin, size_t end)
{
    struct NAME(direct) *shared = context;
    const struct NAME(conv) *v = shared->v;
    const struct tg_window *w = &v->window;
    struct NAME(direct) d = *shared;
    size_t size = v->channels * w->size[0] * w->size[1];
    size_t laid = NAME(whole_vectors)(v->channels * v->plane + LANES);
    T *image = tg_scratch_of(TG_OF_TASK, (laid + (v->act_y ? size : 0)) * sizeof(T));
    size_t work = d.rows_of_block * v->pitch * v->out * v->cells;
    d.image = image;
    d.status = image ? TG_OK : TG_ENOMEM;
    for (size_t j = begin; d.status == TG_OK && j < end; j++) {
        size_t group = j % v->groups;
        const T *x = v->x + j * size;
        if (v->act_y) {
            NAME(before_activation)(image + laid, x, v->act_y + j * size, size, v->through);
            x = image + laid;
        }
        NAME(lay)(v, image, x);
        d.w = shared->w + group * d.panels * d.panel_size;
        d.bias = shared->bias + group * d.panels * ROWS;
        d.y = v->y + j * v->out * v->places;
        tg_parallel_for(NAME(ratio_up)(w->out[0], d.rows_of_block), NAME(ratio_up)(GRAIN, work),
                        NAME(direct_task), &d);
    }
    tg_note(&shared->status, d.status);
}
