/* isa-inl.h: everything, for one instruction set: included by each isa_*.c, inside its target
 * region.
 *
 * The includer defines ISA_NAME, F32(x) and F64(x), which mangle a name, and the macro that
 * selects the words of simd-inl.h. The result is one table of kernels, ISA_TABLE. */
#define T float
#define TG_F32
#define NAME F32
#include "dtype-inl.h"
#undef T
#undef TG_F32
#undef NAME

#define T double
#define TG_F64
#define NAME F64
#include "dtype-inl.h"
#undef T
#undef TG_F64
#undef NAME

const struct tg_kernels ISA_TABLE = {
    .name = ISA_NAME,
    .f32 = {
#define T float
#define TG_KERNEL(op, parameters, arguments) .op = F32(op),
#include "kernels.def"
#undef TG_KERNEL
#undef T
    },
    .f64 = {
#define T double
#define TG_KERNEL(op, parameters, arguments) .op = F64(op),
#include "kernels.def"
#undef TG_KERNEL
#undef T
    },
};
