/* numpy's arrays (.npy, format 1 to 3: magic, version, header length, a Python dictionary as text, the elements) and zip files
 * of them (.npz, stored or deflated). Stored arrays stay mapped; those in Fortran order are copied into rows. */
#include "weights/reader.h"
#include "weights/zip.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER ((size_t)65536) /* of simple arrays; those of records with many fields could be longer */

static const struct {
	const char *descr; /* without the byte order */
	sn_dtype dtype;
} types[] = {
	{ "f4", SN_F32 }, { "f8", SN_F64 }, { "f2", SN_F16 }, { "i1", SN_I8 },  { "u1", SN_U8 },
	{ "i2", SN_I16 }, { "i4", SN_I32 }, { "i8", SN_I64 }, { "b1", SN_BOOL },
};

typedef struct header {
	const char *file, *name; /* for messages */
	const char *at, *end;    /* what is left of the text */
	int fortran, seen;       /* seen: bits of the keys that were read */
	sn_weights_view view;
} header;

static int malformed(const header *h, const char *what, char *err) {
	return sn_fail(err, SN_E_MODEL, "%s: array '%s': %s", h->file, h->name, what);
}

static void skip_blank(header *h) {
	while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t'))
		h->at++;
}

static int accept(header *h, const char *word) {
	skip_blank(h);
	size_t length = strlen(word);
	if ((size_t)(h->end - h->at) < length || memcmp(h->at, word, length) != 0)
		return 0;
	h->at += length;
	return 1;
}

/* '<f4' */
static int read_type(header *h, char *err) {
	skip_blank(h);
	const char *text = h->at;
	int little = accept(h, "'<") || accept(h, "'|") || accept(h, "'=");
	for (size_t i = 0; i < sizeof types / sizeof types[0] && little; i++)
		if (accept(h, types[i].descr) && accept(h, "'")) {
			h->view.dtype = types[i].dtype;
			return SN_OK;
		}
	size_t length = 0, most = (size_t)(h->end - text);
	while (length < most && length < 24 && text[length] != ',')
		length++;
	return sn_fail(err, SN_E_MODEL,
	               "%s: array '%s' has elements of the type %.*s; little-endian f2, f4, f8, i1, i2, i4, i8, u1 and b1 are read", h->file,
	               h->name, (int)length, text);
}

/* (3, 4) | (3,) | () */
static int read_shape(header *h, char *err) {
	if (!accept(h, "("))
		return malformed(h, "the shape must be a tuple", err);
	for (h->view.rank = 0; !accept(h, ")"); h->view.rank++) {
		int64_t dim = 0;
		int digits = 0;
		if (h->view.rank == SN_WEIGHTS_MAX_RANK)
			return malformed(h, "more than 8 dimensions", err);
		for (skip_blank(h); h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++, digits++)
			if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *h->at - '0', &dim))
				return malformed(h, "a dimension is too large", err);
		if (digits == 0 || (!accept(h, ",") && !(h->at < h->end && *h->at == ')')))
			return malformed(h, "the shape must be a tuple of integers", err);
		h->view.dims[h->view.rank] = dim;
	}
	return SN_OK;
}

static int read_entry(header *h, char *err) {
	int key = accept(h, "'descr'") ? 1 : accept(h, "'fortran_order'") ? 2 : accept(h, "'shape'") ? 4 : 0;
	if (key == 0 || h->seen & key || !accept(h, ":"))
		return malformed(h, "the header must have descr, fortran_order and shape, once each", err);
	h->seen |= key;
	if (key == 1)
		return read_type(h, err);
	if (key == 4)
		return read_shape(h, err);
	h->fortran = accept(h, "True");
	return h->fortran || accept(h, "False") ? SN_OK : malformed(h, "fortran_order must be True or False", err);
}

static int read_header(header *h, char *err) {
	int result = accept(h, "{") ? SN_OK : malformed(h, "the header is no dictionary", err);
	while (result == SN_OK && !accept(h, "}")) {
		result = read_entry(h, err);
		if (result == SN_OK && !accept(h, ",") && (h->at == h->end || *h->at != '}'))
			result = malformed(h, "the header is no dictionary", err);
	}
	if (result == SN_OK && h->seen != 7)
		result = malformed(h, "the header must have descr, fortran_order and shape, once each", err);
	return result;
}

static int add_array(sn_weights *weights, const char *file, const char *name, const uint8_t *data, size_t size, char *err) {
	header h = { .file = file, .name = name };
	if (size < 10 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3 || (data[6] > 1 && size < 12))
		return malformed(&h, "not an array of numpy in format 1, 2 or 3", err);
	size_t begin = data[6] == 1 ? 10 : 12, length = data[6] == 1 ? (size_t)data[8] | (size_t)data[9] << 8 : sn_le32(data + 8);
	if (length > MAX_HEADER || length > size - begin)
		return malformed(&h, "the header is longer than the file or 65536 bytes", err);
	h.at = (const char *)data + begin;
	h.end = h.at + length;
	int result = read_header(&h, err);
	if (result != SN_OK)
		return result;
	int64_t elements = sn_weights_elements(h.view.rank, h.view.dims), bytes;
	if (elements < 0 || __builtin_mul_overflow(elements, (int64_t)sn_dtype_size(h.view.dtype), &bytes))
		return malformed(&h, "the dimensions are too large", err);
	size_t have = size - begin - length;
	if ((uint64_t)bytes != have)
		return sn_fail(err, SN_E_MODEL, "%s: array '%s' has %zu bytes; its shape and type (%s) need %lld", file, name, have,
		               sn_dtype_name(h.view.dtype), (long long)bytes);
	h.view.storage = data + begin + length;
	h.view.elements = elements;
	int64_t stride = 1;
	for (int i = 0; i < h.view.rank; i++) {
		int k = h.fortran ? i : h.view.rank - 1 - i;
		h.view.strides[k] = elements > 0 ? stride : 0;
		stride = elements > 0 ? stride * h.view.dims[k] : 0;
	}
	return sn_weights_add_view(weights, name, &h.view, file, err);
}

int sn_read_npy(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	return result == SN_OK ? add_array(weights, path, "array", map.data, map.size, err) : result;
}

/* Entry NAME.npy is array NAME. */
int sn_read_npz(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	sn_zip zip;
	int result = sn_weights_map(weights, path, &map, err);
	if (result == SN_OK)
		result = sn_zip_open(&zip, weights, path, &map, 1, "numpy stores or deflates entries", err);
	if (result != SN_OK)
		return result;
	if (zip.count == 0)
		result = sn_fail(err, SN_E_MODEL, "%s: the zip file holds no arrays (cut short?)", path);
	for (size_t i = 0; i < zip.count && result == SN_OK; i++) {
		const sn_zip_entry *e = zip.entries + i;
		size_t length = strlen(e->name);
		if (length < 5 || strcmp(e->name + length - 4, ".npy") != 0) {
			result = sn_fail(err, SN_E_MODEL, "%s: '%s' is no array; a file of numpy.savez holds NAME.npy", path, e->name);
			break;
		}
		const char *name = sn_weights_own_text(weights, e->name, length - 4, &result, err);
		if (name)
			result = add_array(weights, path, name, e->data, e->size, err);
	}
	sn_zip_close(&zip);
	return result;
}
