/* isa_avx2.c: AVX2 with FMA, x86-64 processors since about 2013. */
#include "internal.h"

#if TG_HAVE_X86

#include <immintrin.h>

#define TG_AVX2
#define ISA_NAME "avx2"
#define ISA_TABLE tg_kernels_avx2
#define F32(x) x##_f32_avx2
#define F64(x) x##_f64_avx2

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "isa-inl.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
