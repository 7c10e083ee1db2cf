/* api.c: the entry points: each hands its arguments to the chosen instruction set's kernel. */
#include "internal.h"

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
