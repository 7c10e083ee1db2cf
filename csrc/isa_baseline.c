/* isa_baseline.c: what every machine of this kind has: SSE2 on x86-64, plain C elsewhere. */
#include "internal.h"

#if TG_HAVE_X86
#include <immintrin.h>
#define TG_SSE2
#else
#define TG_SCALAR
#endif

#define ISA_NAME "baseline"
#define ISA_TABLE tg_kernels_baseline
#define F32(x) x##_f32_baseline
#define F64(x) x##_f64_baseline

#include "isa-inl.h"
