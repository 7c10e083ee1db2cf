/* api.c: the entry points: each hands its arguments to the chosen instruction set's kernel. */
#include "internal.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define T float
#define TG_KERNEL(op, parameters, arguments) int tg_##op##_f32 parameters \
    { return tg_current_kernels()->f32.op arguments; }
#include "kernels.def"
#undef TG_KERNEL
#undef T

#define T double
#define TG_KERNEL(op, parameters, arguments) int tg_##op##_f64 parameters \
    { return tg_current_kernels()->f64.op arguments; }
#include "kernels.def"
#undef TG_KERNEL
#undef T

int tg_keep_memory(int bytes)
{
#ifdef __GLIBC__
    int most = 32 << 20; /* the largest block that glibc is willing to keep */
    most = bytes < most ? bytes : most;
    return mallopt(M_TRIM_THRESHOLD, bytes) && mallopt(M_MMAP_THRESHOLD, most);
#else
    (void)bytes;
    return 0;
#endif
}
