/* As many fused multiply-adds as the core can do: 16 independent sums, enough to cover the latency of
 * one while the others run, all in registers. It reads no memory, so no gemm can be faster. */
#include <stddef.h>

#ifdef __AVX512F__
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define SUMS (BYTES < 64 ? 12 : 16) /* a set of 16 registers must hold the two factors too */

#ifdef __x86_64__
#define REGISTER "+x"
#else
#define REGISTER "+w"
#endif

typedef float vector __attribute__((vector_size(BYTES)));

/* Does `count` multiply-adds of single floats, or a few more; returns a number that depends on all. */
float peak(size_t count)
{
    vector sum[SUMS];
    vector a = {0}, b = {0};
    for (int i = 0; i < SUMS; i++)
        sum[i] = a + (float)i;
    a += 0.5f;
    b += 1.0f;
    for (size_t done = 0; done < count; done += SUMS * (BYTES / 4)) {
        __asm__ volatile("" : REGISTER(a), REGISTER(b)); /* the compiler may not guess the factors */
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * a + b;
    }
    float total = 0;
    for (int i = 0; i < SUMS; i++)
        for (int j = 0; j < BYTES / 4; j++)
            total += sum[i][j];
    return total;
}
