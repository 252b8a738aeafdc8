/* Tensors that see a storage through an offset and strides. */
#include "weights/reader.h"

#include <string.h>

/* There is at least one element. */
static int is_contiguous(const sn_weights_view *v) {
	int64_t expected = 1;
	for (int i = v->rank - 1; i >= 0; expected *= v->dims[i], i--)
		if (v->dims[i] != 1 && v->strides[i] != expected)
			return 0;
	return 1;
}

/* Index of the last element that the strides reach, or -1 when the sum overflows. There is at least one element. */
static int64_t last_element(const sn_weights_view *v) {
	int64_t last = v->offset;
	for (int i = 0; i < v->rank; i++) {
		int64_t step;
		if (__builtin_mul_overflow(v->dims[i] - 1, v->strides[i], &step) || __builtin_add_overflow(last, step, &last))
			return -1;
	}
	return last;
}

/* A transposed or cut tensor is copied into rows; the caller has checked its bounds, which says nothing of the strides of
 * dimensions of 1. */
static const void *gather(sn_weights *weights, const sn_weights_view *v, const uint8_t *data, int64_t elements, int *result,
                          char *err) {
	size_t size = sn_dtype_size(v->dtype);
	uint8_t *out = sn_weights_own(weights, (size_t)elements * size, result, err);
	int64_t index[SN_WEIGHTS_MAX_RANK] = { 0 }, at = 0;
	for (int64_t i = 0; out && i < elements; i++) {
		memcpy(out + (size_t)i * size, data + (size_t)at * size, size);
		for (int k = v->rank - 1; k >= 0; k--) {
			if (v->dims[k] == 1)
				continue;
			at += v->strides[k];
			if (++index[k] < v->dims[k])
				break;
			at -= v->strides[k] * v->dims[k];
			index[k] = 0;
		}
	}
	return out;
}

int sn_weights_add_view(sn_weights *weights, const char *name, const sn_weights_view *v, const char *file, char *err) {
	int64_t elements = sn_weights_elements(v->rank, v->dims), last = elements > 0 ? last_element(v) : 0;
	if (elements < 0 || elements > v->elements || last < 0 || (elements > 0 && last >= v->elements))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' reaches outside its storage of %lld elements", file, name,
		               (long long)v->elements);
	int result = SN_OK;
	size_t size = sn_dtype_size(v->dtype);
	sn_weight weight = { .name = sn_weights_own_text(weights, name, strlen(name), &result, err), .dtype = v->dtype, .rank = v->rank,
		                 .bytes = (size_t)elements * size };
	memcpy(weight.dims, v->dims, sizeof weight.dims);
	weight.data = v->storage + (elements > 0 ? (size_t)v->offset * size : 0);
	if (result == SN_OK && elements > 0 && !is_contiguous(v))
		weight.data = gather(weights, v, weight.data, elements, &result, err);
	return result == SN_OK ? sn_weights_add(weights, &weight, file, err) : result;
}
