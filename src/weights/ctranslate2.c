/* CTranslate2's model.bin, binary versions 3 to 6, little endian:
 *   u32 version, text spec, u32 revision, u32 variables,
 *   variables times: text name, u8 rank, u32 dims[rank], (version >= 4: u8 type, u32 bytes; 3: u8 item size, u32 items), bytes
 *   u32 aliases, aliases times: text alias, text name
 * where text is u16 length with its NUL counted, then the bytes. */
#include "weights/reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct cursor {
	const char *file;
	const uint8_t *data;
	size_t at, size;
	char *err;
	int result; /* sticky */
} cursor;

static const uint8_t *take(cursor *in, size_t size, const char *what) {
	static const uint8_t zeros[8];
	if (in->result == SN_OK && size > in->size - in->at)
		in->result = sn_fail(in->err, SN_E_MODEL, "%s: cut short at %s: %zu bytes needed at offset %zu, the file has %zu",
		                     in->file, what, size, in->at, in->size);
	if (in->result != SN_OK)
		return size <= sizeof zeros ? zeros : NULL;
	in->at += size;
	return in->data + in->at - size;
}

static uint32_t take_u8(cursor *in, const char *what) { return *take(in, 1, what); }
static uint32_t take_u32(cursor *in, const char *what) { return sn_le32(take(in, 4, what)); }

/* The text where it lies: it ends with a NUL in the file. "" after a failure. */
static const char *take_text(cursor *in, const char *what) {
	const uint8_t *length = take(in, 2, what);
	size_t size = length[0] | (size_t)length[1] << 8;
	const uint8_t *text = take(in, size, what);
	if (in->result == SN_OK && (size == 0 || memchr(text, 0, size) != text + size - 1))
		in->result = sn_fail(in->err, SN_E_MODEL, "%s: %s at offset %zu is not a text", in->file, what, in->at - size);
	return in->result == SN_OK ? (const char *)text : "";
}

static void take_type(cursor *in, uint32_t version, sn_weight *weight) {
	static const sn_dtype by_id[] = { SN_F32, SN_I8, SN_I16, SN_I32, SN_F16, SN_BF16 };
	uint32_t code = take_u8(in, weight->name), count = take_u32(in, weight->name);
	if (version >= 4 && code < sizeof by_id / sizeof by_id[0]) {
		weight->dtype = by_id[code];
		weight->bytes = count;
	} else if (version < 4 && (code == 1 || code == 2 || code == 4)) {
		weight->dtype = code == 4 ? SN_F32 : code == 2 ? SN_I16 : SN_I8;
		weight->bytes = (size_t)count * code;
	} else if (in->result == SN_OK) {
		in->result = sn_fail(in->err, SN_E_MODEL, "%s: variable '%s' has the unknown type %u", in->file, weight->name, code);
	}
}

static void read_variable(cursor *in, sn_weights *weights, uint32_t version) {
	sn_weight weight = { .name = take_text(in, "a variable's name") };
	weight.rank = (int)take_u8(in, weight.name);
	if (in->result == SN_OK && weight.rank > SN_WEIGHTS_MAX_RANK)
		in->result = sn_fail(in->err, SN_E_MODEL, "%s: variable '%s' has %d dimensions; at most %d are read",
		                     in->file, weight.name, weight.rank, SN_WEIGHTS_MAX_RANK);
	for (int i = 0; i < weight.rank && in->result == SN_OK; i++)
		weight.dims[i] = take_u32(in, weight.name);
	take_type(in, version, &weight);
	if (in->result == SN_OK)
		weight.data = take(in, weight.bytes, weight.name);
	if (in->result == SN_OK)
		in->result = sn_weights_add(weights, &weight, in->file, in->err);
}

/* The file's value is int8 / scale; ours is int8 * row_scale. One scale for all rows is spread. */
static int scale_matrix(sn_weights *weights, sn_weight *weight, const sn_weight *scale, const char *file, char *err) {
	int64_t rows = weight->rank ? weight->dims[0] : 1, given = sn_weights_elements(scale->rank, scale->dims);
	if (scale->dtype != SN_F32 || (given != rows && given != 1))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' has %lld values of %s; %lld of float32 are needed",
		               file, scale->name, (long long)given, sn_dtype_name(scale->dtype), (long long)rows);
	int result = SN_OK;
	float *inverse = sn_weights_own(weights, (size_t)rows * sizeof *inverse, &result, err);
	if (!inverse)
		return result;
	for (int64_t i = 0; i < rows; i++) {
		float value;
		sn_weight_floats(scale, given == 1 ? 0 : i, 1, &value);
		if (!(value > 0) || !isfinite(value) || !isfinite(1 / value))
			return sn_fail(err, SN_E_MODEL, "%s: '%s' holds the scale %g; it must be positive and finite",
			               file, scale->name, (double)value);
		inverse[i] = 1 / value;
	}
	weight->row_scale = inverse;
	return SN_OK;
}

static int bind_scales(sn_weights *weights, const char *file, char *err) {
	for (size_t i = 0; i < weights->count; i++) {
		sn_weight *weight = weights->items + i;
		char name[SN_WEIGHTS_MAX_NAME + 8];
		snprintf(name, sizeof name, "%s_scale", weight->name);
		const sn_weight *scale = weight->dtype == SN_I8 ? sn_weights_find(weights, name) : NULL;
		int result = scale && weight->bytes ? scale_matrix(weights, weight, scale, file, err) : SN_OK;
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

/* As in the reference, an alias of nothing is no error, and a name that exists wins over an alias. */
static void add_alias(cursor *in, sn_weights *weights, const char *alias, const char *name, const char *suffix) {
	char from[SN_WEIGHTS_MAX_NAME + 1], to[SN_WEIGHTS_MAX_NAME + 1];
	if (snprintf(from, sizeof from, "%s%s", name, suffix) >= (int)sizeof from ||
	    snprintf(to, sizeof to, "%s%s", alias, suffix) >= (int)sizeof to)
		return;
	const sn_weight *target = sn_weights_find(weights, from);
	if (!target || sn_weights_find(weights, to))
		return;
	sn_weight copy = *target;
	copy.name = sn_weights_own_text(weights, to, strlen(to), &in->result, in->err);
	if (copy.name)
		in->result = sn_weights_add(weights, &copy, in->file, in->err);
}

int sn_read_ctranslate2(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	if (result != SN_OK)
		return result;
	cursor in = { .file = path, .data = map.data, .size = map.size, .err = err };
	uint32_t version = take_u32(&in, "the version");
	if (in.result == SN_OK && (version < 3 || version > 6))
		return sn_fail(err, SN_E_MODEL, "%s: binary version %u; a CTranslate2 model has 3 to 6", path, version);
	take_text(&in, "the specification's name");
	take_u32(&in, "the revision");
	uint32_t variables = take_u32(&in, "the number of variables");
	for (uint32_t i = 0; i < variables && in.result == SN_OK; i++)
		read_variable(&in, weights, version);
	if (in.result == SN_OK)
		in.result = bind_scales(weights, path, err);
	uint32_t aliases = take_u32(&in, "the number of aliases");
	for (uint32_t i = 0; i < aliases && in.result == SN_OK; i++) {
		const char *alias = take_text(&in, "an alias"), *name = take_text(&in, "an alias");
		if (in.result == SN_OK)
			add_alias(&in, weights, alias, name, "");
		if (in.result == SN_OK)
			add_alias(&in, weights, alias, name, "_scale");
	}
	return in.result;
}
