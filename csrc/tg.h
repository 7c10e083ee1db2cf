/* tg.h: the public C interface of tinygrad_edu.
 *
 * Arrays are row-major, contiguous and aligned to their element, no more. Any size may be 0.
 * Outputs overlap no input except where a kernel's comment allows it. Every kernel exists for
 * float (suffix _f32) and for double (_f64); they are listed in kernels.def and, elementwise, in
 * ops.def. Every function may be called from any thread, several at once, on different outputs;
 * the bits of a result never depend on the number of threads.
 *
 * build.py reads what cffi declares from the lines between the two markers and from the two
 * tables, so that nothing is typed twice. */
#ifndef TG_H
#define TG_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

/* What every kernel returns. */
enum { TG_OK = 0, TG_ENOMEM = 1, TG_EINDEX = 2, TG_ENONFINITE = 3 };

/* Flags of gemm: A, B are read transposed; the product is added to C instead of replacing it. */
enum { TG_TRANS_A = 1, TG_TRANS_B = 2, TG_ACCUMULATE = 4 };

/* The activation that linear applies to its result. */
enum { TG_ACT_NONE = 0, TG_ACT_RELU = 1, TG_ACT_SIGMOID = 2, TG_ACT_TANH = 3 };

/* A window that moves over images, height before width: the size of the images and of the map of
 * its places, its cells, the steps it takes, the border of the images, the distance of its cells.
 * out = (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1. */
struct tg_window {
    size_t size[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
};

/* How an array that need not be dense lies in memory: strides in elements. */
enum { TG_MAX_AXES = 8 };
struct tg_strided {
    size_t ndim, shape[8];
    ptrdiff_t strides[8];
};

/* Threads used by one call, the caller included. The default is the number of cores this process
 * may use; n < 1 restores it. */
void tg_set_num_threads(int n);
int tg_get_num_threads(void);

/* The instruction set in use: "baseline", "avx2", "avx512" or "neon". It is chosen on first use:
 * the best that the processor and the operating system support, or the one that the environment
 * variable TINYGRAD_EDU_ISA names. tg_isa returns NULL when that variable names one that is
 * unknown or not available here; the kernels then run on "baseline". */
const char *tg_isa(void);
int tg_isa_available(const char *name);

/* Switch to an instruction set. Returns 0, or -1 (and changes nothing) when it is not available.
 * Not to be called while another thread is inside a kernel whose result must not mix two sets. */
int tg_use_isa(const char *name);

/* Let the C library keep so many freed bytes for the next malloc, rather than give them back to the
 * system, which makes every step of a training fault all its pages in again. It concerns the whole
 * process. Returns 1, or 0 where the C library has no such setting. */
int tg_keep_memory(int bytes);

/* One argument of a kernel, whatever its type. */
union tg_word {
    void *p;
    size_t n;
    int64_t i;
    double d;
};

/* A kernel and its arguments, as a program holds them. build.py makes a function words_<kernel>
 * of this type for every row of the tables. */
typedef int (*tg_kernel)(const union tg_word *words);
struct tg_call {
    tg_kernel kernel;
    const union tg_word *words;
};

/* Elementwise calls that are made on one tile of their arrays after the other, while it is in the
 * first cache, instead of on whole arrays. `moves` has one entry for each word of each call, how it
 * differs from tile to tile; a register is a tile that lives in scratch memory only. */
enum { TG_FIXED = 0, TG_ALONG = 1, TG_REGISTER = 2, TG_LENGTH = 3, TG_BEGIN = 4 };
enum { TG_TILE_WORDS = 6 };
struct tg_tiles {
    const struct tg_call *calls;
    const unsigned char *moves; /* TG_TILE_WORDS for each call */
    size_t count, tile, itemsize, registers;
};

/* Add to an int64_t (word 0) so much (word 1): what counts the batches of a training. */
int words_count(const union tg_word *words);

/* Make the calls of a struct tg_tiles (word 0) on so many elements (word 1). */
int words_tiles(const union tg_word *words);

/* A word that is to hold an address in array number `array`, `offset` bytes from its start. */
struct tg_bind {
    union tg_word *word;
    size_t array, offset;
};

/* What a compiled step calls. The arrays of a run are given by their ids, with the pointer to the
 * numbers `head` bytes behind, or, where `head` is 0, by the addresses of their numbers (see
 * arrays.h). */
struct tg_program {
    const struct tg_call *calls;
    size_t call_count;
    const struct tg_bind *binds;
    size_t bind_count, head;
};

/* Point the words at the arrays of this run and make the calls in order, up to the first that
 * fails: its number is put into *failed, its status returned. Not to be run twice at once. */
int tg_run(const struct tg_program *program, const uintptr_t *arrays, size_t *failed);

/* Rows that batches are drawn from: those named by `order` are copied to `batch`. */
struct tg_source {
    char *batch;
    const char *rows;
    size_t row_bytes;
};

/* A word that holds another value at each step. */
struct tg_varying {
    union tg_word *word;
    const union tg_word *values;
};

/* What is different at each of many runs of a program on batches of `batch_size` rows: array
 * number i moves on by steps[i] bytes, the rows of the sources and the varying words change. */
struct tg_many {
    uintptr_t *arrays; /* addresses, also where `head` is not 0; used up */
    const size_t *steps;
    size_t array_count;
    const struct tg_source *sources;
    size_t source_count;
    const int64_t *order; /* batch_size row numbers for each run */
    size_t batch_size;
    const struct tg_varying *varying;
    size_t varying_count;
};

/* Run the program so many times; *done is how many of them succeeded. */
int tg_run_many(const struct tg_program *program, const struct tg_many *many, size_t count,
                size_t *done, size_t *failed);
/* A tape: straight-line code over an array w of doubles, `length` numbers one instruction after the
 * other, places in w but for the first, the index in tg_tape_operations:
 *
 *     operation out operand ...           w[out] = operation(w[operand], ...)
 *     weighted_sum out b n (u v) ...      w[out] = w[b] + w[u] w[v] + ..., n pairs, in this order
 *     accumulate g n (t u) ...            w[t] += w[g] w[u], n times
 *
 * It is run as it stands: every place within w, every instruction whole. */
void tg_tape_run(double *w, const int32_t *code, size_t length);

/* Every operation of a tape with the number of its operands (0: written with its n); the last has
 * no name. */
struct tg_tape_operation {
    const char *name;
    int operands;
};
const struct tg_tape_operation *tg_tape_operations(void);

/* cdef: end */

#define TG_KERNEL(name, parameters, arguments) int TG_NAME(name) parameters;

#define T float
#define TG_NAME(name) tg_##name##_f32
#include "kernels.def"
#undef T
#undef TG_NAME

#define T double
#define TG_NAME(name) tg_##name##_f64
#include "kernels.def"
#undef T
#undef TG_NAME

#undef TG_KERNEL

#endif
