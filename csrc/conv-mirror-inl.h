/* conv-mirror-inl.h: the gradient of a convolution of stride 1 with respect to its images.
 *
 * dx is itself a convolution of stride 1: of dz, in a border that takes in all places that see a
 * pixel, with the kernels turned by 180 degrees; conv-direct-inl.h computes it. Its zeros meet
 * every weight: an infinite weight makes NaN of pixels at the edge. Where the border would be too
 * much of the work, the columns are the better way. */

/* The convolution that is v's gradient. */
static void NAME(mirror)(struct NAME(conv) *m, const struct NAME(conv) *v)
{
    *m = (struct NAME(conv)){.window = v->window, .y = v->dx, .x = v->g, .w = v->w};
    for (size_t axis = 0; axis < 2; axis++) {
        size_t spread = v->window.dilation[axis] * (v->window.kernel[axis] - 1);
        m->window.size[axis] = v->window.out[axis];
        m->window.out[axis] = v->window.size[axis];
        m->window.padding[axis] = spread - v->window.padding[axis];
    }
    m->act_y = v->act == TG_ACT_NONE ? NULL : v->act_y;
    m->through = v->act;
    NAME(plan_conv)(m, v->images, v->out * v->groups, v->channels * v->groups, v->groups, 0);
}

/* Multiply-adds of the way to dx through a mirror, in vectors for one pair of channels, when so
 * many rows are worked on at a time. */
static size_t NAME(mirror_work)(const struct NAME(direct) *d, size_t rows_of_block)
{
    const size_t *out = d->v->window.out;
    size_t work = 0;
    for (size_t y0 = 0; y0 < out[0]; y0 += rows_of_block) {
        size_t rows = tg_min(rows_of_block, out[0] - y0);
        size_t begin, end;
        NAME(needed_cells)(d, y0, rows, &begin, &end);
        work += (end - begin) * NAME(ratio_up)((rows - 1) * d->v->pitch + out[1], LANES);
    }
    return work / d->v->channels;
}

/* Pack the turned kernels (channels, out, cells of a row) in the order of the kernel's rows. */
static void NAME(pack_mirror)(struct NAME(direct) *d)
{
    const struct NAME(conv) *m = d->v;
    const struct tg_window *w = &m->window;
    size_t kernel = w->kernel[0] * w->kernel[1];
    T *packed, *bias;
    size_t *offset = NAME(plan_direct)(d, &packed, &bias);
    if (offset == NULL) {
        return;
    }
    for (size_t k = 0; k < m->cells; k++) {
        size_t i = k / d->of_kernel_row;
        size_t c = k % d->of_kernel_row / w->kernel[1];
        size_t j = k % w->kernel[1];
        const T *from = m->w + c * m->out * kernel + kernel - 1 - i * w->kernel[1] - j;
        offset[k] = c * m->plane + i * w->dilation[0] * m->pitch + j * w->dilation[1];
        for (size_t group = 0; group < m->groups; group++) {
            T *to = packed + group * d->panels * d->panel_size + k * ROWS;
            for (size_t o = 0; o < m->out; o += ROWS, to += d->panel_size) {
                for (size_t r = 0; r < ROWS; r++) {
                    to[r] = o + r < m->out ? from[(o + r) * kernel] : 0;
                }
            }
            from += m->channels * m->out * kernel;
        }
    }
}

/* Try dx by the mirror; 0 when the columns are the better way. */
static int NAME(mirrored)(struct NAME(conv) *v)
{
    const struct tg_window *w = &v->window;
    struct NAME(conv) m;
    for (size_t axis = 0; axis < 2; axis++) {
        if (w->stride[axis] != 1 || w->padding[axis] > w->dilation[axis] * (w->kernel[axis] - 1)) {
            return 0;
        }
    }
    NAME(mirror)(&m, v);
    struct NAME(direct) d = NAME(direct)(&m);
    d.of_kernel_row = m.channels * w->kernel[1];
    size_t work = NAME(mirror_work)(&d, d.rows_of_block);
    size_t by_rows = NAME(mirror_work)(&d, 1);
    if (by_rows < work) {
        d.rows_of_block = 1;
        work = by_rows;
    }
    if (2 * work > 3 * w->kernel[0] * w->kernel[1] * NAME(ratio_up)(v->places, LANES)) {
        return 0;
    }
    NAME(pack_mirror)(&d);
    if (d.status == TG_OK) {
        NAME(share_units)(v->images * v->groups, m.out * m.cells * m.places, NAME(direct_groups),
                          &d);
    }
    tg_note(&v->status, d.status);
    return 1;
}
