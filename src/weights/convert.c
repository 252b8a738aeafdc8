/* Stored numbers to float32. Blocks of a fixed length let the compiler use vectors without run-time checks. */
#include "weights/weights.h"

#include <string.h>

#define BLOCK 64

static inline float from_bits(uint32_t bits) {
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static inline uint32_t to_bits(float value) {
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* Only normal float32 numbers take part, so that a thread that flushes denormals gets the same: a half denormal m * 2^-24 is
 * (2^-14 + m * 2^-24) - 2^-14. */
static inline float from_half(uint16_t half) {
	uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t normal = magnitude + (112u << 23);
	uint32_t special = magnitude | 0x7f800000u;
	uint32_t denormal = to_bits(from_bits(magnitude + (113u << 23)) - from_bits(113u << 23));
	uint32_t bits = magnitude >= 31u << 23 ? special : normal;
	return from_bits((magnitude < 1u << 23 ? denormal : bits) | sign);
}

static void block_f16(const void *in, float *out) {
	uint16_t half[BLOCK];
	float values[BLOCK];
	memcpy(half, in, sizeof half);
	for (int i = 0; i < BLOCK; i++)
		values[i] = from_half(half[i]);
	memcpy(out, values, sizeof values);
}

static void block_bf16(const void *in, float *out) {
	uint16_t top[BLOCK];
	uint32_t bits[BLOCK];
	memcpy(top, in, sizeof top);
	for (int i = 0; i < BLOCK; i++)
		bits[i] = (uint32_t)top[i] << 16;
	memcpy(out, bits, sizeof bits);
}

static void block_f64(const void *in, float *out) {
	double wide[BLOCK];
	memcpy(wide, in, sizeof wide);
	for (int i = 0; i < BLOCK; i++)
		out[i] = (float)wide[i];
}

static void block_i8(const void *in, float *out) {
	int8_t narrow[BLOCK];
	float values[BLOCK];
	memcpy(narrow, in, sizeof narrow);
	for (int i = 0; i < BLOCK; i++)
		values[i] = (float)narrow[i];
	memcpy(out, values, sizeof values);
}

static void convert(sn_dtype dtype, const uint8_t *in, int64_t count, float *out) {
	void (*block)(const void *, float *) = dtype == SN_F16 ? block_f16 : dtype == SN_BF16 ? block_bf16 : block_i8;
	if (dtype == SN_F64)
		block = block_f64;
	size_t size = sn_dtype_size(dtype);
	for (; count >= BLOCK; count -= BLOCK, in += BLOCK * size, out += BLOCK)
		block(in, out);
	if (count > 0) {
		uint8_t tail[BLOCK * sizeof(double)] = { 0 };
		float values[BLOCK];
		memcpy(tail, in, (size_t)count * size);
		block(tail, values);
		memcpy(out, values, (size_t)count * sizeof *out);
	}
}

/* Element i of a scaled matrix is data[i] * row_scale[i / columns]. */
static void scale_rows(const sn_weight *weight, int64_t first, int64_t count, float *out) {
	int64_t columns = 1;
	for (int i = 1; i < weight->rank; i++)
		columns *= weight->dims[i];
	for (int64_t at = first, end = first + count; at < end;) {
		int64_t row = at / columns, stop = (row + 1) * columns < end ? (row + 1) * columns : end;
		float scale;
		memcpy(&scale, weight->row_scale + row, sizeof scale);
		for (int64_t i = at - first; i < stop - first; i++)
			out[i] *= scale;
		at = stop;
	}
}

/* Elements as they follow each other in the file. */
static void stored_floats(const sn_weight *weight, int64_t first, int64_t count, float *out) {
	const uint8_t *in = (const uint8_t *)weight->data + (size_t)first * sn_dtype_size(weight->dtype);
	switch (weight->dtype) {
	case SN_F32: memcpy(out, in, (size_t)count * sizeof *out); break;
	case SN_F16:
	case SN_BF16:
	case SN_F64:
	case SN_I8: convert(weight->dtype, in, count, out); break;
	default: memset(out, 0, (size_t)count * sizeof *out); break;
	}
}

/* dims [n, k], stored as [k][n]: up to BLOCK rows at once, of which each stored row has a run. */
static void turned_floats(const sn_weight *weight, int64_t first, int64_t count, float *out) {
	const int64_t n = weight->dims[0], k = weight->dims[1], end = first + count;
	float values[BLOCK];
	for (int64_t row = first / k; row * k < end; row += BLOCK) {
		const int64_t last = (end - 1) / k + 1, rows = last - row < BLOCK ? last - row : BLOCK;
		for (int64_t c = 0; c < k; c++) {
			stored_floats(weight, c * n + row, rows, values);
			for (int64_t r = 0; r < rows; r++) {
				const int64_t at = (row + r) * k + c;
				if (at >= first && at < end)
					out[at - first] = values[r];
			}
		}
	}
}

void sn_weight_floats(const sn_weight *weight, int64_t first, int64_t count, float *out) {
	if (count <= 0)
		return;
	if (weight->turned)
		turned_floats(weight, first, count, out);
	else
		stored_floats(weight, first, count, out);
	if (weight->row_scale)
		scale_rows(weight, first, count, out);
}

int sn_weight_integers(const sn_weight *weight, int64_t first, int64_t count, int64_t *out) {
	size_t size = sn_dtype_size(weight->dtype);
	const uint8_t *in = (const uint8_t *)weight->data + (count > 0 ? (size_t)first * size : 0);
	int is_signed = weight->dtype == SN_I8 || weight->dtype == SN_I16 || weight->dtype == SN_I32 || weight->dtype == SN_I64;
	if (!is_signed && weight->dtype != SN_U8 && weight->dtype != SN_BOOL)
		return 0;
	for (int64_t i = 0; i < count; i++, in += size) {
		uint64_t bits = 0;
		memcpy(&bits, in, size);
		int unused = 64 - 8 * (int)size;
		out[i] = is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
	}
	return 1;
}
