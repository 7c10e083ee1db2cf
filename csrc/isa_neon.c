/* isa_neon.c: Advanced SIMD, which every AArch64 processor has: no target region is needed. */
#include "internal.h"

#if TG_HAVE_NEON

#include <arm_neon.h>

#define TG_NEON
#define ISA_NAME "neon"
#define ISA_TABLE tg_kernels_neon
#define F32(x) x##_f32_neon
#define F64(x) x##_f64_neon

#include "isa-inl.h"

#endif
