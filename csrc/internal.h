/* internal.h: what the files of csrc share and callers do not see: threads, scratch memory, and the
 * table of kernels that one instruction set fills. */
#ifndef TG_INTERNAL_H
#define TG_INTERNAL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tg.h"

/* WORD: a function that must disappear into its caller. Vectors live in registers only then, and a
 * function handed to such a function is inlined too. */
#if defined(__GNUC__)
#define WORD static inline __attribute__((always_inline))
#define TG_THREAD_LOCAL _Thread_local
#else
#define WORD static __forceinline
#define TG_THREAD_LOCAL __declspec(thread)
#endif

/* Call task(context, begin, end) on pieces that together are [0, count), on several threads.
 *
 * Each piece begins at a multiple of grain and, but for the last, has a multiple of grain
 * elements. Which piece runs where, and how large they are, varies from call to call: a task must
 * give the same bits however the range is split. Runs serially, as one piece, when there are no
 * two grains of work, when the pool is busy with another caller, and inside a task. Returns when
 * all is done. */
typedef void (*tg_task)(void *context, size_t begin, size_t end);
void tg_parallel_for(size_t count, size_t grain, tg_task task, void *context);

/* This thread's reusable buffer, aligned to 64 bytes; NULL when memory is out. It is valid until
 * this thread asks again for the one of the same level, and freed when the thread ends. A kernel
 * made of products nests three: its own, that of its tasks, that of a product inside a task. */
enum tg_level { TG_OF_PRODUCT, TG_OF_TASK, TG_OF_KERNEL, TG_LEVELS };
void *tg_scratch_of(enum tg_level level, size_t bytes);

WORD void *tg_scratch(size_t bytes)
{
    return tg_scratch_of(TG_OF_PRODUCT, bytes);
}

/* Note from within a task that it failed. */
WORD void tg_note(int *status, int failure)
{
    if (failure != TG_OK) {
#if defined(__GNUC__)
        __atomic_store_n(status, failure, __ATOMIC_RELAXED);
#else
        *status = failure;
#endif
    }
}

/* How many elements of simple work are worth waking a thread for. */
#define TG_GRAIN ((size_t)32768)

WORD size_t tg_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

WORD size_t tg_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#define TG_KERNEL(name, parameters, arguments) int (*name) parameters;

struct tg_kernels_f32 {
#define T float
#include "kernels.def"
#undef T
};

struct tg_kernels_f64 {
#define T double
#include "kernels.def"
#undef T
};

#undef TG_KERNEL

/* All kernels of one instruction set. */
struct tg_kernels {
    const char *name;
    struct tg_kernels_f32 f32;
    struct tg_kernels_f64 f64;
};

extern const struct tg_kernels tg_kernels_baseline;
extern const struct tg_kernels tg_kernels_avx2;
extern const struct tg_kernels tg_kernels_avx512;
extern const struct tg_kernels tg_kernels_neon;

/* Which of them this compiler can build for this machine. The tests define TG_PLAIN_C to run what a
 * machine gets that we know nothing about. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TG_PLAIN_C)
#define TG_HAVE_X86 1
#else
#define TG_HAVE_X86 0
#endif
#if defined(__GNUC__) && defined(__aarch64__) && !defined(TG_PLAIN_C)
#define TG_HAVE_NEON 1
#else
#define TG_HAVE_NEON 0
#endif

/* The chosen table (dispatch.c). */
const struct tg_kernels *tg_current_kernels(void);

#endif
