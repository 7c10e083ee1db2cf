/* accuracy.c: the largest error of every elementwise kernel, on every instruction set at hand.
 *
 * usage: accuracy [--every N] [--points N] [ROW ...]
 *   --every N    float: every N-th of the 2^32 bit patterns (default 127; 1 is all of them)
 *   --points N   double: how many drawn arguments (default 2000000)
 *   ROW          rows of ops.def (default all)
 * Both dtypes also get the 128 nearest neighbours of a list of points where something changes.
 *
 * Each result is first compared with reference.def in a fast type of real numbers that is wider
 * than the kernel's: double for float, long double for double. Where that comes within a margin
 * of the worst so far, the exact type decides: binary128, which is __float128 on x86 (libquadmath)
 * and long double on AArch64. So what is printed is no error of the reference. A compiler for x86
 * without libquadmath decides in long double; the first line says in how many bits it was.
 *
 * One line a (row, dtype, instruction set), as soon as a row is done: row dtype isa, the worst
 * error of the value in ulp and its argument, the worst error of the gradient in units of
 * epsilon |g| (1 + |f'(x)|) and its argument; "inf" is a NaN, an infinity or a zero that is wrong.
 * The rows are spread over the threads that this process may use. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "internal.h"

#if LDBL_MANT_DIG < 113 && defined(__has_include)
#if __has_include(<quadmath.h>)
#include <quadmath.h>
#define QUADMATH
#endif
#endif

/* A binary floating-point format: its precision, and the exponents of its ends (of frexp). */
struct format {
    int digits;
    int least;
    int greatest;
    double epsilon;
    long double beyond; /* 2^greatest */
};

#define REAL double
#define R(f) f
#define K(c) c
#define S(name) name##_double
#include "accuracy-real-inl.h"

#define REAL long double
#define R(f) f##l
#define K(c) c##L
#define S(name) name##_long
#include "accuracy-real-inl.h"

#ifdef QUADMATH
#define REAL __float128
#define R(f) f##q
#define K(c) c##Q
#define S(name) name##_quad
#include "accuracy-real-inl.h"
#define EXACT(name) name##_quad
#define EXACT_DIGITS FLT128_MANT_DIG
typedef __float128 exact;
#else
#define EXACT(name) name##_long
#define EXACT_DIGITS LDBL_MANT_DIG
typedef long double exact;
#endif

/* |got - want| in units, exactly; infinite where one of them alone is NaN, where an infinity is
 * missed, or where a zero has the other sign. */
static double exact_error(exact got, exact want, exact unit, const struct format *format)
{
    if (got != got || want != want) {
        return (got != got) == (want != want) ? 0 : (double)INFINITY;
    }
    if (want - want != 0 || (want == 0 && got == 0)) { /* 1 / 0 tells the sign of a zero */
        return got == want && 1 / got == 1 / want ? 0 : (double)INFINITY;
    }
    exact error = EXACT(within)(got, format) - EXACT(within)(want, format);
    return (double)((error < 0 ? -error : error) / unit);
}

#define HALF_PI 1.57079632679489661923132169163975144L
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* How far, in ulp, the fast reference may be off without a worst error going unnoticed: 2^-29 ulp
 * of float is what double's functions err, and a few 2^-11 ulp of double long double's. */
#define MARGIN 0.03125

enum { CHUNK = 4096, MOST_ISAS = 4, MOST_THREADS = 64 };

static const struct tg_kernels *isas[MOST_ISAS];
static size_t isa_count;
static uint64_t every = 127;
static uint64_t points = 2000000;

/* Where a kernel switches formulas, saturates or rounds subtly; each with both signs. */
static const double anchors[] = {
    0, 0x1p-126, 0x1p-1022, 0x1p-27, 0x1p-13, 0.34657359027997264, 0.5, 0.625, 0.7071067811865476,
    0.7853981633974483, 1, 1.0987, 1.4142135623730951, 1.5707963267948966, 3.141592653589793, 4, 6,
    8.5, 10, 14.7, 20, 37.5, 39, 40, 44, 65536, 87.3, 88.72, 90, 103.97, 0x1p30, 708.4, 709.78,
    711.5, 745.1, FLT_MAX, DBL_MAX, INFINITY,
};
enum { NEIGHBOURS = 128, ANCHORED = COUNT(anchors) * 2 * NEIGHBOURS };

/* The n-th number of a sequence that passes for random: the mixer of splitmix64 (G. L. Steele,
 * D. Lea and C. H. Flood, OOPSLA 2014). */
static uint64_t mixed(uint64_t n)
{
    n *= 0x9e3779b97f4a7c15u;
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
    return n ^ (n >> 31);
}

/* The baseline is SSE2 on x86-64 and plain C elsewhere. */
static const char *label(const struct tg_kernels *isa)
{
    return isa == &tg_kernels_baseline && !TG_HAVE_X86 ? "scalar" : isa->name;
}

/* ---- float: a sweep of the bit patterns ------------------------------------------------------ */

static uint64_t sweep_f32(void)
{
    return (((uint64_t)1 << 32) + every - 1) / every;
}

static float swept_f32(uint64_t n)
{
    uint32_t bits = (uint32_t)(n * every);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define T float
#define BITS uint32_t
#define FAST(name) name##_double
#define F(name) name##_f32
#define KERNELS(isa) (isa)->f32
#define FORMAT {FLT_MANT_DIG, FLT_MIN_EXP, FLT_MAX_EXP, FLT_EPSILON, 2.0L * 0x1p127L}
#include "accuracy-inl.h"

/* ---- double: drawn arguments ----------------------------------------------------------------- */

static uint64_t sweep_f64(void)
{
    return LDBL_MANT_DIG > DBL_MANT_DIG ? points : 0;
}

/* A quarter each: any bit pattern; any mantissa with an exponent in [-32, 12); uniform in
 * [-45, 45); the number nearest to a multiple of pi/2, where sine and cosine cancel. */
static double swept_f64(uint64_t n)
{
    uint64_t bits = mixed(2 * n);
    uint64_t choice = mixed(2 * n + 1);
    double unit = (double)(bits >> 11) * 0x1p-53;
    double sign = choice & 4 ? -1 : 1;
    choice >>= 3;
    double x;
    switch (n % 4) {
    case 0: memcpy(&x, &bits, sizeof x); return x;
    case 1: return sign * ldexp(1 + unit, (int)(choice % 44) - 32);
    case 2: return sign * unit * 45;
    default: return sign * (double)((long double)(bits >> (34 + choice % 30)) * HALF_PI);
    }
}

#define T double
#define BITS uint64_t
#define FAST(name) name##_long
#define F(name) name##_f64
#define KERNELS(isa) (isa)->f64
#define FORMAT {DBL_MANT_DIG, DBL_MIN_EXP, DBL_MAX_EXP, DBL_EPSILON, 2.0L * 0x1p1023L}
#include "accuracy-inl.h"

/* ---- All rows, over the threads -------------------------------------------------------------- */

static char **wanted; /* names, NULL at the end; empty for all */
static atomic_size_t next_job;

static int is_wanted(const char *name)
{
    for (char **w = wanted; *w != NULL; w++) {
        if (strcmp(*w, name) == 0) {
            return 1;
        }
    }
    return *wanted == NULL;
}

static void *work(void *unused)
{
    size_t rows = COUNT(table_f32);
    for (size_t job; (job = atomic_fetch_add(&next_job, 1)) < 2 * rows;) {
        if (!is_wanted(table_f32[job % rows].name)) {
            continue;
        }
        if (job < rows) {
            measure_f32(&table_f32[job]);
        } else {
            measure_f64(&table_f64[job - rows]);
        }
    }
    return unused;
}

static void find_isas(void)
{
    const struct tg_kernels *all[] = {
        &tg_kernels_baseline,
#if TG_HAVE_X86
        &tg_kernels_avx2, &tg_kernels_avx512,
#endif
#if TG_HAVE_NEON
        &tg_kernels_neon,
#endif
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        if (tg_isa_available(all[i]->name)) {
            isas[isa_count++] = all[i];
        }
    }
}

int main(int argc, char **argv)
{
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        uint64_t n = strtoull(argv[at + 1], NULL, 10);
        if (strcmp(argv[at], "--every") == 0 && n > 0) {
            every = n;
        } else if (strcmp(argv[at], "--points") == 0) {
            points = n;
        } else {
            break;
        }
    }
    if (at < argc && argv[at][0] == '-') {
        fprintf(stderr, "usage: %s [--every N] [--points N] [ROW ...]\n", argv[0]);
        return 2;
    }
    wanted = argv + at;
    find_isas();
    if (LDBL_MANT_DIG == DBL_MANT_DIG) {
        printf("# long double is double here: float64 is not measured\n");
    }
    printf("# float32: %llu arguments, float64: %llu, decided in %d bits\n",
           (unsigned long long)sweep_f32(), (unsigned long long)sweep_f64(), EXACT_DIGITS);
    int count = tg_get_num_threads() < MOST_THREADS ? tg_get_num_threads() : MOST_THREADS;
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
