/* dtype-inl.h: all kernels of one (instruction set, dtype), in the order in which they build on
 * each other. */
#include "simd-inl.h"
#include "math-inl.h"
#include "elementwise-inl.h"
#include "binary-inl.h"
#include "reduce-inl.h"
#include "optim-inl.h"
#include "gemm-inl.h"
#include "softmax-inl.h"
#include "linear-inl.h"
#include "conv-inl.h"
#include "pool-inl.h"
#include "norm-inl.h"
