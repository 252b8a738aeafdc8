/* Rows and elements with eight lanes. */
#if !defined __AVX2__ || !defined __FMA__ || defined __AVX512F__
#error "rows_avx2.c needs -mavx2 -mfma and nothing more"
#endif

#include "nn/cpu/wide/rows.h"

void nn_rows_fill_avx2(nn_kernels *k) { wide_rows_fill(k); }
