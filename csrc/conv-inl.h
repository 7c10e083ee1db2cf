/* Convolution over images (N, C, H, W) and its gradients, made of gemm's products.
 *
 * With the windows of an image written as columns, all three are products of matrices. In each
 * group, `cells` = C kh kw numbers stand under the window at each of P places:
 *
 *                  P places                forward   y (O, P)         = w (O, cells) columns
 *              ┌───────────────┐           to w      dw (O, cells)    = g (O, P) columns^T, summed
 *        cells │ columns │     │                                        over the images
 *              │         │     │           to x      columns (cells, P) = w^T g, and each number is
 *            1 │ 1 1 1 1 │ ...             └ a block                    added to where it was seen
 *              └───────────────┘
 *
 * Most of it is done without columns, from the images themselves: forward and to x with stride 1
 * (conv-direct-inl.h, conv-mirror-inl.h), to w where the out channels fill vectors
 * (conv-weights-inl.h). This file has the rest.
 *
 * The columns are kh kw times as large as the image, so they never exist as a whole: a block of
 * them, small enough for the L2 cache, is written, multiplied and forgotten. Each number of a block
 * is written for O multiply-adds, which is what keeps a convolution with few out channels below the
 * speed of gemm. The bias is the weight of one more cell, which shows 1 everywhere: its sum and its
 * gradient are part of the products.
 *
 * Images are first laid out with their border of zeros, columns sorted by their remainder modulo
 * the stride: the numbers that one cell shows along a row of places are then adjacent, whatever
 * stride, padding and dilation, and nothing below knows of a border. Behind the last number there
 * is room to load and store whole vectors.
 *
 * Images are shared among the threads, or, when there are fewer images than threads, the parts of
 * each product. Either way the sums are the same: gemm's do not depend on the threads, and dw is
 * summed in parts of as many images as the shape alone says. */

/* Numbers in a block of columns. */
#undef BLOCK
#define BLOCK (((size_t)384 << 10) / sizeof(T))
/* The parts in which dw is summed, at most, and how many numbers they may have in all. */
#undef PARTS
#undef PARTS_ROOM
#define PARTS ((size_t)16)
#define PARTS_ROOM ((size_t)1 << 22)

/* One call. Channels and cells are those of one group. */
struct NAME(conv) {
    struct tg_window window;
    size_t images, groups, channels, out, places;
    size_t cells, depth;        /* under the window; and with the one that shows 1 */
    size_t phase, pitch, plane; /* of a laid image: columns of one remainder, row, channel */
    size_t rows, cols, blocks;  /* of places in a block */
    size_t ld;                  /* from one row of a block to the next */
    T *y, *dx, *dw, *db, *parts; /* results; those that are not wanted are NULL */
    const T *x, *w, *g, *act_y; /* w: with the bias as last column where a cell shows 1 */
    size_t part_images, part_size;
    /* Of conv-weights-inl.h: a row of dz transposed, or 0 if columns are used; rows of places in a
     * block; the offsets of cells, and of the places in a block. */
    size_t across, block_rows;
    const size_t *cell, *place;
    int act, through; /* act: of y; through: g's way to x, the activation whose y is act_y */
    int status;
};

/* What a task works with. */
struct NAME(conv_room) {
    T *image, *columns, *dz;
};

/* A block: columns of `count` places, the first of them at (y0, x0). */
struct NAME(block) {
    const struct NAME(conv) *v;
    T *image, *columns;
    size_t y0, x0, rows, cols;
    size_t first, count;
};

WORD size_t NAME(whole_vectors)(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Everything that follows from the sizes. If columns will be added to it, a laid row holds the
 * whole vectors of a row of places, so that add_columns never loads what it has just stored a part
 * of: the processor would wait for it, and the gradient of narrow images took twice the time. */
static void NAME(plan_conv)(struct NAME(conv) *v, size_t images, size_t channels, size_t out,
                            size_t groups, int with_bias)
{
    const struct tg_window *w = &v->window;
    size_t line = 64 / sizeof(T);
    v->images = images;
    v->groups = groups;
    v->channels = channels / groups;
    v->out = out / groups;
    v->cells = v->channels * w->kernel[0] * w->kernel[1];
    v->depth = v->cells + (with_bias != 0);
    v->places = w->out[0] * w->out[1];
    v->phase = NAME(ratio_up)(w->size[1] + 2 * w->padding[1], w->stride[1]);
    if (v->dx) {
        v->phase = tg_max(v->phase, NAME(whole_vectors)(w->out[1]));
    }
    v->pitch = v->phase * w->stride[1];
    v->plane = v->pitch * (w->size[0] + 2 * w->padding[0]);
    size_t most = tg_max(BLOCK / (v->depth + 1), NR);
    v->cols = tg_min(w->out[1], most);
    v->rows = v->cols < w->out[1] ? 1 : tg_min(w->out[0], tg_max(1, most / v->cols));
    v->blocks = NAME(ratio_up)(w->out[0], v->rows) * NAME(ratio_up)(w->out[1], v->cols);
    v->ld = NAME(whole_vectors)((v->rows - 1) * v->cols + NAME(whole_vectors)(v->cols)) | line;
}

static struct NAME(block) NAME(block)(const struct NAME(conv) *v,
                                      const struct NAME(conv_room) *room, size_t number)
{
    const size_t *out = v->window.out;
    size_t across = NAME(ratio_up)(out[1], v->cols);
    struct NAME(block) b = {.v = v, .image = room->image, .columns = room->columns};
    b.y0 = number / across * v->rows;
    b.x0 = number % across * v->cols;
    b.rows = tg_min(v->rows, out[0] - b.y0);
    b.cols = tg_min(v->cols, out[1] - b.x0);
    b.first = b.y0 * out[1] + b.x0;
    b.count = b.rows * b.cols;
    return b;
}

/* ---- Between images and columns -------------------------------------------------------------- */

/* Where cell (i, j) of channel c looks when the window is at (y0, x0). */
WORD T *NAME(under)(const struct NAME(block) *b, size_t c, size_t i, size_t j)
{
    const struct NAME(conv) *v = b->v;
    const struct tg_window *w = &v->window;
    size_t down = b->y0 * w->stride[0] + i * w->dilation[0];
    size_t across = j * w->dilation[1];
    return b->image + c * v->plane + down * v->pitch + across % w->stride[1] * v->phase +
           across / w->stride[1] + b->x0;
}

/* Write the columns of channels [begin, end). Each run is stored in whole vectors; what spills is
 * overwritten by the next run, and the last of a cell has room. */
static void NAME(write_columns)(void *context, size_t begin, size_t end)
{
    const struct NAME(block) *b = context;
    const struct NAME(conv) *v = b->v;
    size_t step = v->window.stride[0] * v->pitch;
    T *row = b->columns + begin * (v->cells / v->channels) * v->ld;
    for (size_t c = begin; c < end; c++) {
        for (size_t i = 0; i < v->window.kernel[0]; i++) {
            for (size_t j = 0; j < v->window.kernel[1]; j++, row += v->ld) {
                const T *from = NAME(under)(b, c, i, j);
                T *to = row;
                for (size_t y = 0; y < b->rows; y++, from += step, to += b->cols) {
                    for (size_t x = 0; x < b->cols; x += LANES) {
                        vstore(to + x, vload(from + x));
                    }
                }
            }
        }
    }
}

/* Add the columns of channels [begin, end) to where they were seen. */
static void NAME(add_columns)(void *context, size_t begin, size_t end)
{
    const struct NAME(block) *b = context;
    const struct NAME(conv) *v = b->v;
    size_t step = v->window.stride[0] * v->pitch;
    const T *row = b->columns + begin * (v->cells / v->channels) * v->ld;
    for (size_t c = begin; c < end; c++) {
        for (size_t i = 0; i < v->window.kernel[0]; i++) {
            for (size_t j = 0; j < v->window.kernel[1]; j++, row += v->ld) {
                T *to = NAME(under)(b, c, i, j);
                const T *from = row;
                for (size_t y = 0; y < b->rows; y++, to += step, from += b->cols) {
                    for (size_t x = 0; x < b->cols; x += LANES) {
                        size_t n = b->cols - x;
                        NAME(store_upto)(to + x, NAME(load_upto)(to + x, n) + vload(from + x), n);
                    }
                }
            }
        }
    }
}

/* Where a laid row has column x of the image; the columns after it are adjacent if the stride is
 * 1. */
WORD size_t NAME(laid_column)(const struct NAME(conv) *v, size_t x)
{
    size_t column = x + v->window.padding[1];
    size_t stride = v->window.stride[1];
    return stride == 1 ? column : column % stride * v->phase + column / stride;
}

/* Lay out the channels of an image with their border of zeros. */
static void NAME(lay)(const struct NAME(conv) *v, T *image, const T *x)
{
    const struct tg_window *w = &v->window;
    if (v->plane > w->size[0] * w->size[1]) {
        memset(image, 0, v->channels * v->plane * sizeof(T));
    }
    for (size_t c = 0; c < v->channels; c++) {
        for (size_t y = 0; y < w->size[0]; y++, x += w->size[1]) {
            T *row = image + c * v->plane + (y + w->padding[0]) * v->pitch;
            if (w->stride[1] == 1) {
                memcpy(row + w->padding[1], x, w->size[1] * sizeof(T));
            }
            for (size_t j = 0; w->stride[1] > 1 && j < w->size[1]; j++) {
                row[NAME(laid_column)(v, j)] = x[j];
            }
        }
    }
}

/* The transpose of lay: the image without its border. */
static void NAME(unlay)(const struct NAME(conv) *v, T *x, const T *image)
{
    const struct tg_window *w = &v->window;
    for (size_t c = 0; c < v->channels; c++) {
        for (size_t y = 0; y < w->size[0]; y++, x += w->size[1]) {
            const T *row = image + c * v->plane + (y + w->padding[0]) * v->pitch;
            if (w->stride[1] == 1) {
                memcpy(x, row + w->padding[1], w->size[1] * sizeof(T));
            }
            for (size_t j = 0; w->stride[1] > 1 && j < w->size[1]; j++) {
                x[j] = row[NAME(laid_column)(v, j)];
            }
        }
    }
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

/* dz = g act'(y), n numbers. */
static void NAME(before_activation)(T *dz, const T *g, const T *y, size_t n, int act)
{
    for (size_t i = 0; i < n; i += LANES) {
        V slope = NAME(through_activation)(NAME(load_upto)(g + i, n - i),
                                           NAME(load_upto)(y + i, n - i), act);
        NAME(store_upto)(dz + i, slope, n - i);
    }
}

/* `units` pieces of work, shared among the threads; one after the other, each by all threads, when
 * there are too few. */
static void NAME(share_units)(size_t units, size_t unit_work, tg_task task, void *context)
{
    if (units < (size_t)tg_get_num_threads()) {
        task(context, 0, units);
    } else {
        tg_parallel_for(units, NAME(ratio_up)(GRAIN, tg_max(1, unit_work)), task, context);
    }
}

/* Where each cell looks in a laid image, for the window's first place. */
static void NAME(list_cells)(const struct NAME(conv) *v, size_t *offset)
{
    const struct tg_window *w = &v->window;
    for (size_t c = 0; c < v->channels; c++) {
        for (size_t i = 0; i < w->kernel[0]; i++) {
            for (size_t j = 0; j < w->kernel[1]; j++) {
                size_t across = j * w->dilation[1];
                *offset++ = c * v->plane + i * w->dilation[0] * v->pitch +
                            across % w->stride[1] * v->phase + across / w->stride[1];
            }
        }
    }
}

#include "conv-direct-inl.h"
#include "conv-mirror-inl.h"
#include "conv-weights-inl.h"

static int NAME(make_room)(const struct NAME(conv) *v, struct NAME(conv_room) *room)
{
    size_t image = NAME(whole_vectors)(v->channels * v->plane + LANES);
    size_t columns = v->depth * v->ld + LANES;
    size_t dz = v->g != NULL && v->act != TG_ACT_NONE ? v->out * v->places : 0;
    room->image = tg_scratch_of(TG_OF_TASK, (image + columns + dz) * sizeof(T));
    if (room->image == NULL) {
        return TG_ENOMEM;
    }
    room->columns = room->image + image;
    room->dz = room->columns + columns;
    for (size_t i = 0; v->depth > v->cells && i < v->ld; i++) {
        room->columns[v->cells * v->ld + i] = 1;
    }
    return TG_OK;
}

/* task(begin, end) over the channels of a block. */
static void NAME(over_channels)(struct NAME(block) *b, tg_task task)
{
    size_t channels = b->v->channels;
    size_t grain = NAME(ratio_up)(TG_GRAIN, b->v->cells / channels * b->count);
    tg_parallel_for(channels, grain, task, b);
}

/* y for group j of the images, counted through all images. */
static int NAME(conv_group)(const struct NAME(conv) *v, const struct NAME(conv_room) *room,
                            size_t j)
{
    struct NAME(epilogue) epilogue = {NULL, v->act};
    int status = TG_OK;
    NAME(lay)(v, room->image, v->x + j * v->channels * v->window.size[0] * v->window.size[1]);
    for (size_t i = 0; i < v->blocks && status == TG_OK; i++) {
        struct NAME(block) b = NAME(block)(v, room, i);
        NAME(over_channels)(&b, NAME(write_columns));
        struct NAME(product) p = {.m = v->out, .n = b.count, .k = v->depth};
        p.c = v->y + j * v->out * v->places + b.first;
        p.ldc = v->places;
        p.a = v->w + j % v->groups * v->out * v->depth;
        p.lda = v->depth;
        p.b = b.columns;
        p.ldb = v->ld;
        p.finish = v->act == TG_ACT_NONE ? NULL : NAME(finish_linear);
        p.context = &epilogue;
        status = NAME(multiply)(&p);
    }
    return status;
}

static void NAME(conv_task)(void *context, size_t begin, size_t end)
{
    struct NAME(conv) *v = context;
    struct NAME(conv_room) room;
    int status = NAME(make_room)(v, &room);
    for (size_t j = begin; j < end && status == TG_OK; j++) {
        status = NAME(conv_group)(v, &room, j);
    }
    tg_note(&v->status, status);
}

/* Add to a part of dw what the laid image, with the gradient dz, contributes. */
static int NAME(grad_to_weight)(const struct NAME(conv) *v, const struct NAME(conv_room) *room,
                                const T *dz, T *part)
{
    int status = TG_OK;
    for (size_t i = 0; i < v->blocks && status == TG_OK; i++) {
        struct NAME(block) b = NAME(block)(v, room, i);
        NAME(over_channels)(&b, NAME(write_columns));
        status = NAME(gemm)(part, dz + b.first, b.columns, v->out, v->depth, b.count, v->depth,
                            v->places, v->ld, TG_TRANS_B | TG_ACCUMULATE);
    }
    return status;
}

/* dx of group j of the images. */
static int NAME(grad_to_image)(const struct NAME(conv) *v, const struct NAME(conv_room) *room,
                               size_t j, const T *dz)
{
    const T *w = v->w + j % v->groups * v->out * v->cells;
    int status = TG_OK;
    memset(room->image, 0, v->channels * v->plane * sizeof(T));
    for (size_t i = 0; i < v->blocks && status == TG_OK; i++) {
        struct NAME(block) b = NAME(block)(v, room, i);
        status = NAME(gemm)(b.columns, w, dz + b.first, v->cells, b.count, v->out, v->ld, v->cells,
                            v->places, TG_TRANS_A);
        NAME(over_channels)(&b, NAME(add_columns));
    }
    NAME(unlay)(v, v->dx + j * v->channels * v->window.size[0] * v->window.size[1], room->image);
    return status;
}

/* The gradients of parts [begin, end) of the images. */
static void NAME(conv_grad_task)(void *context, size_t begin, size_t end)
{
    struct NAME(conv) *v = context;
    struct NAME(conv_room) room;
    int status = NAME(make_room)(v, &room);
    size_t per_part = v->part_images * v->groups;
    size_t last = tg_min(end * per_part, v->images * v->groups);
    size_t size = v->out * v->places;
    for (size_t j = begin * per_part; j < last && status == TG_OK; j++) {
        const T *dz = v->g + j * size;
        if (v->act != TG_ACT_NONE) {
            NAME(before_activation)(room.dz, dz, v->act_y + j * size, size, v->act);
            dz = room.dz;
        }
        if (v->parts) {
            T *part = v->parts + (j / per_part * v->groups + j % v->groups) * v->part_size;
            const size_t *pixels = v->window.size;
            NAME(lay)(v, room.image, v->x + j * v->channels * pixels[0] * pixels[1]);
            status = v->across ? NAME(direct_to_weight)(v, room.image, dz, part)
                               : NAME(grad_to_weight)(v, &room, dz, part);
        }
        if (v->dx && status == TG_OK) {
            status = NAME(grad_to_image)(v, &room, j, dz);
        }
    }
    tg_note(&v->status, status);
}

/* ---- The kernels ----------------------------------------------------------------------------- */

/* The weights (rows, cells) with the bias as last column. */
static T *NAME(weights_and_bias)(const T *w, const T *bias, size_t rows, size_t cells)
{
    T *both = tg_scratch_of(TG_OF_KERNEL, rows * (cells + 1) * sizeof(T));
    for (size_t o = 0; both != NULL && o < rows; o++) {
        memcpy(both + o * (cells + 1), w + o * cells, cells * sizeof(T));
        both[o * (cells + 1) + cells] = bias[o];
    }
    return both;
}

static int NAME(conv2d)(T *y, const T *x, const T *w, const T *bias,
                        const struct tg_window *window, size_t images, size_t channels, size_t out,
                        size_t groups, int act)
{
    struct NAME(conv) v = {.window = *window, .y = y, .x = x, .w = w, .act = act};
    NAME(plan_conv)(&v, images, channels, out, groups, bias != NULL);
    size_t work = v.out * v.depth * v.places;
    if (NAME(is_direct)(&v)) {
        struct NAME(direct) d = NAME(direct)(&v);
        NAME(pack_direct)(&d, bias);
        if (d.status == TG_OK) {
            NAME(share_units)(images * groups, work, NAME(direct_groups), &d);
        }
        return d.status;
    }
    if (bias) {
        v.w = NAME(weights_and_bias)(w, bias, out, v.cells);
        if (v.w == NULL) {
            return TG_ENOMEM;
        }
    }
    NAME(share_units)(images * groups, work, NAME(conv_task), &v);
    return v.status;
}

WORD T NAME(sum_of_parts)(const T *from, size_t step, size_t count)
{
    T sum = 0;
    for (size_t p = 0; p < count; p++) {
        sum += from[p * step];
    }
    return sum;
}

/* dw and db of out channels [begin, end): the parts added in order. */
static void NAME(add_parts)(void *context, size_t begin, size_t end)
{
    const struct NAME(conv) *v = context;
    size_t parts = NAME(ratio_up)(v->images, v->part_images);
    size_t step = v->groups * v->part_size;
    for (size_t o = begin; o < end; o++) {
        const T *from = v->parts + o / v->out * v->part_size;
        const T *row = from + o % v->out * v->depth;
        size_t apart = 1;
        size_t last = v->cells;
        if (v->across) {
            row = from + o % v->out;
            apart = v->across;
            last = NAME(ratio_up)(v->cells, ROWS) * ROWS;
        }
        for (size_t i = 0; i < v->cells; i++) {
            v->dw[o * v->cells + i] = NAME(sum_of_parts)(row + i * apart, step, parts);
        }
        if (v->db) {
            v->db[o] = NAME(sum_of_parts)(row + last * apart, step, parts);
        }
    }
}

/* Clear the parts of dw, and list what the direct way to them needs; returns how many there are, 0
 * when memory is out. */
static size_t NAME(plan_parts)(struct NAME(conv) *v)
{
    const struct tg_window *w = &v->window;
    v->across = NAME(direct_across)(v->out);
    v->part_size = v->across ? NAME(direct_part)(v) : v->out * v->depth;
    v->block_rows = tg_max(1, DZ_BLOCK / (w->out[1] * tg_max(1, v->across)));
    v->block_rows = tg_min(w->out[0], v->block_rows);
    size_t places = v->block_rows * w->out[1];
    size_t size = v->groups * v->part_size;
    size_t parts = tg_max(1, tg_min(tg_min(PARTS, v->images), PARTS_ROOM / size));
    size_t listed = NAME(ratio_up)(v->cells + places, 8) * 8; /* whole cache lines */
    size_t *cell = tg_scratch_of(TG_OF_KERNEL, listed * sizeof(size_t) + parts * size * sizeof(T));
    if (cell == NULL) {
        return 0;
    }
    v->parts = (T *)(void *)(cell + listed);
    memset(v->parts, 0, parts * size * sizeof(T));
    size_t *place = cell + v->cells;
    NAME(list_cells)(v, cell);
    for (size_t p = 0; p < places; p++) {
        place[p] = p / w->out[1] * w->stride[0] * v->pitch + p % w->out[1];
    }
    v->cell = cell;
    v->place = place;
    return parts;
}

static int NAME(conv2d_grad)(T *dx, T *dw, T *db, const T *g, const T *y, const T *x, const T *w,
                             const struct tg_window *window, size_t images, size_t channels,
                             size_t out, size_t groups, int act)
{
    struct NAME(conv) v = {.window = *window, .dx = dx, .dw = dw, .db = db, .x = x, .w = w};
    v.g = g;
    v.act_y = y;
    v.act = act;
    NAME(plan_conv)(&v, images, channels, out, groups, db != NULL);
    if (dx && NAME(mirrored)(&v)) {
        v.dx = NULL;
        NAME(plan_conv)(&v, images, channels, out, groups, db != NULL);
    }
    if (!v.dx && !dw) {
        return v.status;
    }
    size_t parts = tg_max(1, images);
    if (dw) {
        parts = NAME(plan_parts)(&v);
        if (parts == 0) {
            return TG_ENOMEM;
        }
    }
    v.part_images = tg_max(1, NAME(ratio_up)(images, parts));
    parts = NAME(ratio_up)(images, v.part_images);
    NAME(share_units)(parts, 2 * v.part_images * out * v.depth * v.places, NAME(conv_grad_task),
                      &v);
    if (dw && v.status == TG_OK) {
        size_t grain = NAME(ratio_up)(TG_GRAIN, tg_max(1, parts) * v.depth);
        tg_parallel_for(out, grain, NAME(add_parts), &v);
    }
    return v.status;
}
