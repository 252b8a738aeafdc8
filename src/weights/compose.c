/* A checkpoint made of tensors of others. */
#include "weights/reader.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int sn_weights_compose(sn_weights **out, sn_weights **parts, int count, char *err) {
	sn_weights *w = calloc(1, sizeof *w);
	*out = NULL;
	if (!w || !(w->path = strdup(parts[0]->path)) || !(w->parts = calloc((size_t)count, sizeof(sn_weights *)))) {
		sn_weights_close(&w);
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory for its tensors", parts[0]->path);
	}
	w->layout = parts[0]->layout;
	w->key = SN_HASH_INIT;
	for (int i = 0; i < count; i++) {
		w->key = sn_hash(w->key, &parts[i]->key, sizeof parts[i]->key);
		w->mapped_bytes += parts[i]->mapped_bytes;
		w->parts[w->part_count++] = parts[i];
		parts[i] = NULL;
	}
	*out = w;
	return SN_OK;
}

/* `from` under its new name. */
static int rename_weight(sn_weights *weights, const char *name, const sn_weight *from, int turned, sn_weight *to, char *err) {
	int result = SN_OK;
	*to = *from;
	if (turned && from->rank != 2)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %d dimensions; a matrix is expected", weights->path, from->name, from->rank);
	if (turned) {
		to->turned = !from->turned;
		to->dims[0] = from->dims[1];
		to->dims[1] = from->dims[0];
	}
	to->name = sn_weights_own_text(weights, name, strlen(name), &result, err);
	return result;
}

int sn_weights_compose_add(sn_weights *weights, const char *name, const sn_weight *from, int turned, char *err) {
	sn_weight to;
	int result = rename_weight(weights, name, from, turned, &to, err);
	return result == SN_OK ? sn_weights_add(weights, &to, weights->path, err) : result;
}

/* ---- bytes that stand for numbers ---- */

/* value = (stored - zero) * scale, by rows of the tensor as it is added */
typedef struct steps {
	float *scale, *zero;
	int shifted; /* a zero is not 0 */
} steps;

static int64_t elements(const sn_weight *w) { return sn_weights_elements(w->rank, w->dims); }

static int check_steps(const sn_weights *weights, const sn_weight *to, const sn_weight *from, const sn_weight *scale, const sn_weight *zero, char *err) {
	const int64_t rows = to->dims[0];
	if (to->rank != 2 || (to->dtype != SN_I8 && to->dtype != SN_U8))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is %s of %d dimensions; a quantised matrix is int8 or uint8", weights->path, from->name,
		               sn_dtype_name(from->dtype), from->rank);
	if (scale->dtype != SN_F32 || (elements(scale) != 1 && elements(scale) != rows))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %lld values of %s; 1 or %lld of float32 are needed", weights->path, scale->name,
		               (long long)elements(scale), sn_dtype_name(scale->dtype), (long long)rows);
	if (zero && (zero->dtype != from->dtype || (elements(zero) != 1 && elements(zero) != rows)))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %lld values of %s; 1 or %lld of %s are needed", weights->path, zero->name,
		               (long long)elements(zero), sn_dtype_name(zero->dtype), (long long)rows, sn_dtype_name(from->dtype));
	return SN_OK;
}

static int read_steps(sn_weights *weights, const sn_weight *to, const sn_weight *scale, const sn_weight *zero, steps *s, char *err) {
	const int64_t rows = to->dims[0];
	int result = SN_OK;
	*s = (steps){ .scale = sn_weights_own(weights, (size_t)rows * sizeof *s->scale, &result, err) };
	if (result == SN_OK)
		s->zero = sn_weights_own(weights, (size_t)rows * sizeof *s->zero, &result, err);
	for (int64_t i = 0; i < rows && result == SN_OK; i++) {
		int64_t shift = 0;
		sn_weight_floats(scale, elements(scale) == 1 ? 0 : i, 1, s->scale + i);
		if (zero)
			sn_weight_integers(zero, elements(zero) == 1 ? 0 : i, 1, &shift);
		if (!(s->scale[i] > 0) || !isfinite(s->scale[i]))
			result = sn_fail(err, SN_E_MODEL, "%s: tensor '%s' holds the scale %g; it must be positive and finite", weights->path, scale->name,
			                 (double)s->scale[i]);
		s->zero[i] = (float)shift;
		s->shifted |= shift != 0;
	}
	return result;
}

/* What no scale alone describes becomes floats. */
static int spread(sn_weights *weights, sn_weight *to, const steps *s, char *err) {
	const int64_t rows = to->dims[0], columns = to->dims[1];
	int result = SN_OK;
	float *values = sn_weights_own(weights, (size_t)(rows * columns) * sizeof *values, &result, err);
	for (int64_t r = 0; values && r < rows; r++)
		for (int64_t c = 0; c < columns; c++) {
			int64_t stored;
			sn_weight_integers(to, to->turned ? c * rows + r : r * columns + c, 1, &stored);
			values[r * columns + c] = ((float)stored - s->zero[r]) * s->scale[r];
		}
	to->data = values;
	to->bytes = (size_t)(rows * columns) * sizeof *values;
	to->dtype = SN_F32;
	to->turned = 0;
	return result;
}

int sn_weights_compose_add_scaled(sn_weights *weights, const char *name, const sn_weight *from, const sn_weight *scale,
                                  const sn_weight *zero, int turned, char *err) {
	sn_weight to;
	steps s;
	int result = rename_weight(weights, name, from, turned, &to, err);
	if (result == SN_OK)
		result = check_steps(weights, &to, from, scale, zero, err);
	if (result == SN_OK)
		result = read_steps(weights, &to, scale, zero, &s, err);
	if (result == SN_OK && (s.shifted || to.dtype == SN_U8))
		result = spread(weights, &to, &s, err);
	else
		to.row_scale = result == SN_OK ? s.scale : NULL;
	return result == SN_OK ? sn_weights_add(weights, &to, weights->path, err) : result;
}
