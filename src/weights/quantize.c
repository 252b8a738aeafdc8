#include "weights/quantize.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST 32       /* rows and columns of a matrix that products take in int8 */
#define LEAST_BF16 1024 /* values */
#define KERNELS 0.1    /* share of the values that convolutions must have to be narrowed */
#define ZERO 1e-30f    /* largest magnitude of a row that is stored as zeros, as where rows are packed */

static int64_t elements(const sn_weight *w) {
	int64_t count = 1;
	for (int i = 0; i < w->rank; i++)
		count *= w->dims[i];
	return count;
}

/* ---- what is narrowed ---- */

/* Rows of it are looked up: positions, letters, tokens. Errors in them enter all that follows. */
static int is_table(const sn_weight *w) { return w->rank == 2 && (strstr(w->name, "emb") || strstr(w->name, "position")); }

static int is_matrix(const sn_weight *w, int64_t columns) { return w->rank >= 2 && w->dims[0] >= LEAST && columns >= LEAST; }

/* 0: float16 does not hold the value exactly. */
static int to_half(float value, uint16_t *half) {
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	const uint32_t sign = bits >> 16 & 0x8000, fraction = bits & 0x7fffff;
	const int exponent = (int)(bits >> 23 & 255) - 127, lost = exponent < -14 ? 13 - 14 - exponent : 13;
	*half = (uint16_t)sign;
	if (exponent == -127 && !fraction)
		return 1;
	if (exponent < -24 || exponent > 15)
		return 0;
	const uint32_t whole = fraction | 0x800000;
	*half = (uint16_t)(sign | (exponent < -14 ? whole >> lost : (uint32_t)(exponent + 15) << 10 | fraction >> 13));
	return (whole & ((1u << lost) - 1)) == 0;
}

static int fits_half(const sn_weight *w) {
	float block[1024];
	uint16_t half;
	const int64_t all = elements(w);
	for (int64_t at = 0; at < all; at += 1024) {
		const int64_t count = all - at < 1024 ? all - at : 1024;
		sn_weight_floats(w, at, count, block);
		for (int64_t i = 0; i < count; i++)
			if (!to_half(block[i], &half))
				return 0;
	}
	return 1;
}

/* What a tensor of floats is stored as; SN_F32 where it stays as it is. */
static sn_dtype narrow_type(const sn_weight *w, sn_dtype to, int64_t columns, int kernels) {
	const int64_t all = elements(w);
	if (to == SN_BF16)
		return w->rank >= 2 && all >= LEAST_BF16 ? SN_BF16 : SN_F32;
	if (is_table(w))
		return sn_dtype_size(w->dtype) <= 2 || all < LEAST_BF16 ? SN_F32 : fits_half(w) ? SN_F16 : SN_BF16;
	return is_matrix(w, columns) && (w->rank == 2 || kernels) ? SN_I8 : SN_F32;
}

/* Whether convolutions have so many of the values that they count. */
static int counts_kernels(const sn_weights *w) {
	double all = 0, kernels = 0;
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *t = sn_weights_at(w, i);
		all += sn_weight_is_float(t) ? (double)elements(t) : 0;
		kernels += sn_weight_is_float(t) && t->rank > 2 ? (double)elements(t) : 0;
	}
	return kernels > KERNELS * all;
}

static const sn_weight *first_name(const sn_weights *w, size_t index) {
	const sn_weight *t = sn_weights_at(w, index);
	for (size_t i = 0; i < index && t->bytes; i++) {
		const sn_weight *other = sn_weights_at(w, i);
		if (other->data == t->data && other->bytes == t->bytes && other->dtype == t->dtype && other->rank == t->rank &&
		    memcmp(other->dims, t->dims, (size_t)t->rank * sizeof *t->dims) == 0)
			return other;
	}
	return NULL;
}

int sn_quantize_plan(sn_quantized_weight **out, const sn_weights *w, sn_dtype to, char *err) {
	const size_t count = sn_weights_count(w);
	const int kernels = counts_kernels(w);
	sn_quantized_weight *list = *out = calloc(count + 1, sizeof *list);
	if (!list)
		return sn_fail(err, SN_E_MEMORY, "no memory for a list of %zu tensors", count);
	for (size_t i = 0; i < count; i++) {
		const sn_weight *t = sn_weights_at(w, i);
		const int64_t all = elements(t), columns = t->rank && t->dims[0] ? all / t->dims[0] : 0;
		const sn_dtype type = sn_weight_is_float(t) ? narrow_type(t, to, columns, kernels) : SN_F32;
		const int narrow = type != SN_F32;
		list[i] = (sn_quantized_weight){ .from = t, .same = first_name(w, i),
			.dtype = narrow ? type : t->row_scale ? SN_F32 : t->dtype };
		list[i].rows = narrow ? t->dims[0] : 0;
		list[i].columns = narrow ? columns : 0;
		list[i].bytes = (size_t)all * sn_dtype_size(list[i].dtype) + (type == SN_I8 ? (size_t)t->dims[0] * sizeof(float) : 0);
		list[i].bytes = list[i].same ? 0 : list[i].bytes;
	}
	return SN_OK;
}

/* ---- the header ---- */

static const char *const tags[] = { [SN_F32] = "F32", [SN_F16] = "F16", [SN_BF16] = "BF16", [SN_F64] = "F64", [SN_I8] = "I8",
	[SN_U8] = "U8", [SN_I16] = "I16", [SN_I32] = "I32", [SN_I64] = "I64", [SN_BOOL] = "BOOL" };

static int add_entry(json_t *header, const char *name, sn_dtype dtype, int rank, const int64_t *dims, size_t offset, size_t bytes) {
	json_t *shape = json_array();
	int failed = 0;
	for (int i = 0; i < rank; i++)
		failed |= json_array_append_new(shape, json_integer(dims[i]));
	return failed | json_object_set_new(header, name, json_pack("{s:s, s:o, s:[I, I]}", "dtype", tags[dtype], "shape", shape,
	                           "data_offsets", (json_int_t)offset, (json_int_t)(offset + bytes)));
}

/* Places tensors one behind the other and describes them. */
static json_t *make_header(sn_quantized_weight *list, const sn_weights *w, sn_dtype to) {
	char name[SN_WEIGHTS_MAX_NAME + 32];
	json_t *header = json_object(), *facts = json_object();
	size_t at = 0;
	int failed = json_object_set_new(facts, "format", json_string("pt"));
	failed |= json_object_set_new(facts, SN_QUANTIZED_KEY, json_string(to == SN_I8 ? "int8" : "bf16"));
	if (sn_weights_layout(w) == SN_LAYOUT_CTRANSLATE2)
		failed |= json_object_set_new(facts, SN_QUANTIZED_LAYOUT, json_string("ctranslate2"));
	failed |= json_object_set_new(header, "__metadata__", facts);
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		sn_quantized_weight *q = list + i;
		const size_t scales = q->dtype == SN_I8 && q->rows && !q->same ? (size_t)q->rows * sizeof(float) : 0;
		if (q->same) {
			snprintf(name, sizeof name, SN_QUANTIZED_ALIAS "%s", q->from->name);
			failed |= json_object_set_new(facts, name, json_string(q->same->name));
			continue;
		}
		q->offset = at;
		failed |= add_entry(header, q->from->name, q->dtype, q->from->rank, q->from->dims, at, q->bytes - scales);
		at += q->bytes;
		if (!scales)
			continue;
		snprintf(name, sizeof name, "%s" SN_QUANTIZED_SCALE, q->from->name);
		failed |= add_entry(header, name, SN_F32, 1, &q->rows, at - scales, scales);
	}
	if (failed) {
		json_decref(header);
		return NULL;
	}
	return header;
}

/* ---- writing ---- */

static int put(int file, const void *data, size_t size) {
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(file, (const char *)data + done, size - done);
		if (n < 0 && errno != EINTR)
			return 0;
		done += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static int write_header(int file, const json_t *header) {
	char *text = sn_json_dumps(header, JSON_COMPACT);
	if (!text) {
		errno = ENOMEM;
		return 0;
	}
	const size_t size = strlen(text), padded = (size + 7) / 8 * 8;
	uint8_t length[8];
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)padded >> 8 * i);
	const int result = put(file, length, sizeof length) && put(file, text, size) && put(file, "        ", padded - size);
	free(text);
	return result;
}

float sn_quantize_row(const float *values, int64_t count, int8_t *to) {
	float most = 0;
	for (int64_t i = 0; i < count; i++)
		most = fmaxf(most, fabsf(values[i]));
	const float inverse = most < ZERO ? 0 : 127 / most;
	for (int64_t i = 0; i < count; i++)
		to[i] = (int8_t)lrintf(fminf(fmaxf(values[i] * inverse, -127), 127));
	const float scale = most / 127;
	return most < ZERO ? 1 : isinf(127 * scale) ? nextafterf(scale, 0) : scale;
}

/* To nearest, ties to even. A value beyond the largest becomes that, not infinity: one such weight would spoil all that it meets. */
static uint16_t to_bf16(float value) {
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	if (value != value)
		return (uint16_t)(bits >> 16 | 64);
	const uint32_t magnitude = bits & 0x7fffffff, top = (magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16;
	return (uint16_t)(bits >> 16 & 0x8000) | (uint16_t)(top < 0x7f80 || isinf(value) ? top : 0x7f7f);
}

static float from_bf16(uint16_t top) {
	const uint32_t bits = (uint32_t)top << 16;
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

typedef struct sums { double lost, all; } sums;

static void count_loss(sums *s, float value, float stored) {
	s->lost += ((double)value - (double)stored) * ((double)value - (double)stored);
	s->all += (double)value * (double)value;
}

/* Row by row; `row` and `narrow` have room for one, `scales` for all. */
static int write_rows(int file, sn_quantized_weight *q, float *row, void *narrow, float *scales) {
	int8_t *const bytes = narrow;
	uint16_t *const halves = narrow;
	sums s = { 0, 0 };
	for (int64_t r = 0; r < q->rows; r++) {
		sn_weight_floats(q->from, r * q->columns, q->columns, row);
		if (q->dtype == SN_I8)
			scales[r] = sn_quantize_row(row, q->columns, bytes);
		for (int64_t i = 0; i < q->columns; i++) {
			if (q->dtype == SN_BF16)
				halves[i] = to_bf16(row[i]);
			else if (q->dtype == SN_F16)
				to_half(row[i], &halves[i]);
			count_loss(&s, row[i], q->dtype == SN_I8 ? (float)bytes[i] * scales[r] : q->dtype == SN_BF16 ? from_bf16(halves[i]) : row[i]);
		}
		if (!isfinite(s.all)) {
			errno = EDOM;
			return 0;
		}
		if (!put(file, narrow, (size_t)q->columns * sn_dtype_size(q->dtype)))
			return 0;
		sn_weight_release(q->from, r * q->columns, q->columns);
	}
	q->error = s.all > 0 ? sqrt(s.lost / s.all) : 0;
	return q->dtype != SN_I8 || put(file, scales, (size_t)q->rows * sizeof *scales);
}

static int write_narrow(int file, sn_quantized_weight *q) {
	float *row = malloc((size_t)q->columns * sizeof *row), *scales = malloc((size_t)q->rows * sizeof *scales);
	void *narrow = malloc((size_t)q->columns * sizeof(uint16_t));
	if (!row || !scales || !narrow)
		errno = ENOMEM;
	const int result = row && scales && narrow && write_rows(file, q, row, narrow, scales);
	const int kept = errno;
	free(row);
	free(scales);
	free(narrow);
	errno = kept;
	return result;
}

/* As it is; only matrices of int8 that stay no such become floats. */
static int write_whole(int file, const sn_quantized_weight *q) {
	if (!q->from->row_scale)
		return put(file, q->from->data, q->bytes);
	float block[1024];
	const int64_t all = elements(q->from);
	for (int64_t at = 0; at < all; at += 1024) {
		const int64_t count = all - at < 1024 ? all - at : 1024;
		sn_weight_floats(q->from, at, count, block);
		if (!put(file, block, (size_t)count * sizeof *block))
			return 0;
	}
	return 1;
}

int sn_quantize_write(sn_quantized_weight *list, const sn_weights *w, sn_dtype to, const char *path, sn_part_progress progress,
                      void *payload, char *err) {
	const size_t count = sn_weights_count(w);
	size_t total = 0;
	int result = SN_OK;
	json_t *header = make_header(list, w, to);
	if (!header)
		return sn_fail(err, SN_E_MEMORY, "no memory for what is said of %zu tensors", count);
	const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (file < 0 || !write_header(file, header))
		result = sn_fail_errno(err, "cannot write '%.300s'", path);
	json_decref(header);
	for (size_t i = 0; i < count; i++)
		total += list[i].bytes;
	for (size_t i = 0; i < count && result == SN_OK; i++) {
		sn_quantized_weight *q = list + i;
		if (progress && progress(payload, q->from->name, total ? (double)q->offset / (double)total : 1))
			result = sn_fail(err, SN_E_CANCELLED, "the quantisation was cancelled");
		else if (!q->same && !(q->rows ? write_narrow(file, q) : write_whole(file, q)))
			result = errno != EDOM ? sn_fail_errno(err, "cannot write '%.300s'", path)
			                       : sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has values that are no numbers", sn_weights_path(w),
			                                 q->from->name);
	}
	if (result == SN_OK && fsync(file) != 0)
		result = sn_fail_errno(err, "cannot write '%.300s'", path);
	if (file >= 0)
		close(file);
	return result;
}
