/* isa_avx512.c: AVX-512 F, DQ, BW and VL. */
#include "internal.h"

#if TG_HAVE_X86

#include <immintrin.h>

#define TG_AVX512
#define ISA_NAME "avx512"
#define ISA_TABLE tg_kernels_avx512
#define F32(x) x##_f32_avx512
#define F64(x) x##_f64_avx512

#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#endif

#include "isa-inl.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
