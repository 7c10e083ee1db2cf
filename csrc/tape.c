/* tape.c: the interpreter of scalar programs, which compile_scalars writes (compiler/tape.py).
 *
 * A tape is straight-line code over one array of doubles: each instruction reads some of them and
 * writes one. Forward and backward are both tapes, of the same operations. What takes the time is
 * not the arithmetic but the dispatch, so the two things that neurons are made of have instructions
 * that are loops: the weighted sum, and the many products with one gradient that a weighted sum
 * passes back. */
#include "internal.h"

static const double SELU_ALPHA = 1.6732632423543772848170429916717;
static const double SELU_SCALE = 1.0507009873554804934193349852946;
static const double SQRT_HALF = 0.70710678118654752440;
static const double SQRT_2_OVER_PI = 0.79788456080286535588;
static const double GELU_CUBIC = 0.044715;

static double limited(double x, double low, double high)
{
    const double raised = x < low ? low : x;
    return raised > high ? high : raised;
}

static double sigmoid(double x)
{
    return x > -700 ? 1 / (1 + exp(-x)) : exp(x);
}

/* As sigmoid, in the form of the NumPy reference, which differs in the last place. */
static double stable_sigmoid(double x)
{
    return exp(x < 0 ? x : 0) / (1 + exp(-fabs(x)));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

static double elu(double x, double alpha)
{
    return x > 0 ? x : alpha * expm1(x);
}

enum opcode {
    TAPE_weighted_sum,
    TAPE_accumulate,
#define TAPE1(row, f) TAPE_##row,
#define TAPE2(row, f) TAPE_##row,
#define TAPE3(row, f) TAPE_##row,
#include "tape.def"
};

static const struct tg_tape_operation operations[] = {
    {"weighted_sum", 0},
    {"accumulate", 0},
#define TAPE1(row, f) {#row, 1},
#define TAPE2(row, f) {#row, 2},
#define TAPE3(row, f) {#row, 3},
#include "tape.def"
    {NULL, 0},
};

const struct tg_tape_operation *tg_tape_operations(void)
{
    return operations;
}

void tg_tape_run(double *w, const int32_t *code, size_t length)
{
    const int32_t *at = code;
    const int32_t *const end = code + length;
    while (at < end) {
        switch ((enum opcode)at[0]) {
        case TAPE_weighted_sum: {
            const int32_t *const stop = at + 4 + 2 * (ptrdiff_t)at[3];
            double sum = w[at[2]];
            double *const out = w + at[1];
            for (at += 4; at < stop; at += 2) {
                sum += w[at[0]] * w[at[1]];
            }
            *out = sum;
            break;
        }
        case TAPE_accumulate: {
            const int32_t *const stop = at + 3 + 2 * (ptrdiff_t)at[2];
            const double g = w[at[1]];
            for (at += 3; at < stop; at += 2) {
                w[at[0]] += g * w[at[1]];
            }
            break;
        }
#define TAPE1(row, f) \
    case TAPE_##row: { \
        const double x = w[at[2]]; \
        w[at[1]] = (f); \
        at += 3; \
        break; \
    }
#define TAPE2(row, f) \
    case TAPE_##row: { \
        const double x = w[at[2]], y = w[at[3]]; \
        w[at[1]] = (f); \
        at += 4; \
        break; \
    }
#define TAPE3(row, f) \
    case TAPE_##row: { \
        const double x = w[at[2]], y = w[at[3]], z = w[at[4]]; \
        w[at[1]] = (f); \
        at += 5; \
        break; \
    }
#include "tape.def"
        }
    }
}
