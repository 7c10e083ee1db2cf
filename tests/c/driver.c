/* driver.c: every kernel against plain loops, on the instruction sets named by the arguments or on
 * every one this machine has.
 *
 * Buffers are malloc'ed to the exact size, so that under AddressSanitizer a kernel that reads or
 * writes one element too far is caught; sizes are odd and arrays misaligned by one element. Then:
 * the same bits from 1, 2, 3 and 5 threads, several callers at once, and a fork with a running
 * pool. One line a group of checks; exit status 1 when one fails. NO_FORK in the environment
 * leaves the fork out, which qemu-user cannot do in a process with threads. run.sh builds and runs
 * it. */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tg.h"

static const char *isa;
static const char *group;
static long checks;
static long failures;
static long failures_in_all;

static void report(int ok, const char *what, size_t i, long double got, long double want)
{
    checks++;
    if (!ok && failures++ < 10) {
        printf("  %s %s: %s [%zu] is %.17Lg, should be %.17Lg\n", isa, group, what, i, got, want);
    }
}

static void begin(const char *name)
{
    group = name;
    checks = 0;
    failures = 0;
}

static void end(void)
{
    printf("%-9s %-28s %9ld checks %s\n", isa, group, checks, failures ? "FAILED" : "ok");
    fflush(stdout);
    failures_in_all += failures;
}

/* ---- Numbers, buffers ------------------------------------------------------------------------ */

#define FIRST_STATE 88172645463325252u
static uint64_t random_state = FIRST_STATE;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Uniform in [low, high). */
static double draw(double low, double high)
{
    return low + (high - low) * (double)(random_bits() >> 11) * 0x1p-53;
}

/* Blocks of exactly the bytes asked for, `offset` bytes into a malloc that ends with them. */
struct arena {
    void *blocks[64];
    size_t count;
};

static void *take(struct arena *arena, size_t bytes, size_t offset)
{
    char *block = malloc(bytes + offset);
    if (arena->count == 64) {
        abort();
    }
    arena->blocks[arena->count++] = block;
    return block + offset;
}

static void release(struct arena *arena)
{
    for (size_t i = 0; i < arena->count; i++) {
        free(arena->blocks[i]);
    }
    arena->count = 0;
}

static long double *zeros(struct arena *arena, size_t n)
{
    long double *x = take(arena, n * sizeof *x, 0);
    memset(x, 0, n * sizeof *x);
    return x;
}

static const size_t sizes[] = {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 257, 1003};
static const int thread_counts[] = {1, 2, 3, 5};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The elementwise references in long double, once for both types. */
#define R(f) f##l
#define K(c) c##L
#define REFERENCE(name, value, slope, ulp) \
    static long double value_##name(long double x, long double p) { (void)p; return value; } \
    static long double slope_##name(long double x, long double p) \
    { (void)p, (void)x; return slope; }
#include "reference.def"

#define REFERENCE(name, value, slope, ulp) static const double ulp_##name = ulp;
#include "reference.def"
#undef R
#undef K

#define T float
#define EPSILON FLT_EPSILON
#define LEAST 1.401298464324817e-45L
#define F(name) name##_f32
#define TG(name) tg_##name##_f32
#include "elementwise-checks-inl.h"
#include "row-checks-inl.h"
#include "product-checks-inl.h"
#include "conv-checks-inl.h"
#include "pool-checks-inl.h"
#include "norm-checks-inl.h"
#include "program-checks-inl.h"
#include "thread-checks-inl.h"
#undef T
#undef EPSILON
#undef LEAST
#undef F
#undef TG

#define T double
#define EPSILON DBL_EPSILON
#define LEAST 4.940656458412465e-324L
#define F(name) name##_f64
#define TG(name) tg_##name##_f64
#include "elementwise-checks-inl.h"
#include "row-checks-inl.h"
#include "product-checks-inl.h"
#include "conv-checks-inl.h"
#include "pool-checks-inl.h"
#include "norm-checks-inl.h"
#include "program-checks-inl.h"
#include "thread-checks-inl.h"
#undef T
#undef EPSILON
#undef LEAST
#undef F
#undef TG

/* ---- Tapes ---------------------------------------------------------------------------------- */

/* Every operation on places and code of the exact size, then the two that are loops. */
static void check_tapes(void)
{
    isa = "-";
    begin("tapes");
    const struct tg_tape_operation *operation = tg_tape_operations();
    report(strcmp(operation[0].name, "weighted_sum") == 0, "first", 0, 0, 0);
    report(strcmp(operation[1].name, "accumulate") == 0, "second", 0, 0, 0);
    for (int32_t k = 2; operation[k].name != NULL; k++) {
        struct arena arena = {.count = 0};
        size_t n = (size_t)operation[k].operands;
        double *w = take(&arena, (n + 1) * sizeof *w, 0);
        int32_t *code = take(&arena, (n + 2) * sizeof *code, 0);
        for (size_t i = 0; i < n; i++) {
            w[i] = draw(1, 2);
            code[i + 2] = (int32_t)i;
        }
        w[n] = -1e300; /* what no operation gives here */
        code[0] = k;
        code[1] = (int32_t)n;
        tg_tape_run(w, code, n + 2);
        report(w[n] != -1e300, operation[k].name, (size_t)k, w[n], 0);
        release(&arena);
    }
    double w[] = {2, 3, 5, 7, 11, 0, 100, 200};
    const int32_t code[] = {0, 5, 4, 2, 0, 1, 2, 3, 1, 5, 2, 6, 0, 7, 1, 0, 4, 6, 0};
    tg_tape_run(w, code, COUNT(code));
    report(w[5] == 11 + 6 + 35, "weighted_sum", 5, w[5], 52);
    report(w[6] == 100 + 52 * 2, "accumulate", 6, w[6], 204);
    report(w[7] == 200 + 52 * 3, "accumulate", 7, w[7], 356);
    report(w[4] == w[6], "weighted_sum of nothing", 4, w[4], w[6]);
    end();
}

/* ---- Processes, callers, names ------------------------------------------------------------- */

/* A child made while the pool is alive must have a working pool of its own. */
static void check_fork(void)
{
    begin("fork with a running pool");
    tg_set_num_threads(3);
    for (int round = 0; round < 3; round++) {
        report(work_bits_f32() == work_bits_f32(), "before", 0, 0, 0);
        uint64_t bits = work_bits_f32();
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            _exit(work_bits_f32() == bits ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        report(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child", (size_t)round, status, 0);
        report(work_bits_f32() == bits, "parent after", (size_t)round, 0, 0);
    }
    end();
}

static void *call_often(void *result)
{
    uint64_t first = work_bits_f64();
    for (int i = 0; i < 5; i++) {
        if (work_bits_f64() != first || work_bits_f32() != work_bits_f32()) {
            return NULL;
        }
    }
    *(uint64_t *)result = first;
    return result;
}

/* Four threads that compute at once: one gets the pool, the others run alone, all the same bits. */
static void check_callers(void)
{
    begin("concurrent callers");
    pthread_t threads[4];
    uint64_t bits[4] = {0, 0, 0, 0};
    tg_set_num_threads(3);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, call_often, &bits[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        report(result != NULL && bits[i] == bits[0], "caller", i, 0, 0);
    }
    end();
}

static void check_names(void)
{
    isa = "-";
    begin("names and thread counts");
    report(tg_use_isa("mmx") == -1, "unknown set refused", 0, 0, 0);
    report(tg_use_isa(NULL) == -1, "NULL refused", 0, 0, 0);
    report(!tg_isa_available("mmx"), "unknown set", 0, 0, 0);
    report(tg_isa_available("baseline"), "baseline", 0, 0, 0);
    report(tg_use_isa("baseline") == 0 && strcmp(tg_isa(), "baseline") == 0, "baseline", 0, 0, 0);
    tg_set_num_threads(3);
    report(tg_get_num_threads() == 3, "threads", 0, tg_get_num_threads(), 3);
    int kept = tg_keep_memory(64 << 20); /* a sanitizer's malloc has no such setting */
    report(kept == 0 || kept == 1, "kept memory", 0, kept, 1);
    tg_set_num_threads(0);
    report(tg_get_num_threads() >= 1, "default threads", 0, tg_get_num_threads(), 1);
    end();
}

static int is_named(const char *name, char **arguments)
{
    for (char **a = arguments; *a != NULL; a++) {
        if (strcmp(*a, name) == 0) {
            return 1;
        }
    }
    return *arguments == NULL;
}

int main(int argc, char **argv)
{
    const char *names[] = {"baseline", "avx2", "avx512", "neon"};
    int sets = 0;
    check_names();
    check_tapes();
    for (size_t i = 0; i < COUNT(names); i++) {
        isa = names[i];
        if (!is_named(isa, argv + 1) || tg_use_isa(isa) != 0) {
            continue;
        }
        sets++;
        random_state = FIRST_STATE; /* every set meets the same numbers */
        tg_set_num_threads(2);
        check_elementwise_f32();
        check_elementwise_f64();
        check_rows_f32();
        check_rows_f64();
        check_optimizers_f32();
        check_optimizers_f64();
        check_programs_f32();
        check_programs_f64();
        check_products_f32();
        check_products_f64();
        check_convolutions_f32();
        check_convolutions_f64();
        check_pooling_f32();
        check_pooling_f64();
        check_norms_f32();
        check_norms_f64();
        check_threads_f32();
        check_threads_f64();
        check_callers();
        if (getenv("NO_FORK") == NULL) {
            check_fork();
        }
    }
    if (argc > 1 && sets < argc - 1) {
        printf("not every named instruction set is to be had here\n");
        return 2;
    }
    printf("%s\n", failures_in_all ? "FAILED" : "all ok");
    return failures_in_all ? 1 : 0;
}
