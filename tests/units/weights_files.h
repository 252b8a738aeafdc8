/* Small checkpoints in every format, made in memory, for tests that then spoil them. */
#ifndef TESTS_WEIGHTS_FILES_H
#define TESTS_WEIGHTS_FILES_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void put(sn_buf *b, uint64_t value, int size) {
	for (int i = 0; i < size; i++)
		sn_buf_add(b, &(char){ (char)(value >> (8 * i)) }, 1);
}

static inline void put_float(sn_buf *b, float value) {
	uint32_t bits;
	memcpy(&bits, &value, 4);
	put(b, bits, 4);
}

/* ---- safetensors ---- */

static inline void make_safetensors(sn_buf *b, const char *header, size_t data_size) {
	put(b, strlen(header), 8);
	sn_buf_text(b, header);
	for (size_t i = 0; i < data_size; i++)
		put(b, i * 37, 1);
}

/* ---- CTranslate2 ---- */

static inline void put_ct2_text(sn_buf *b, const char *text) {
	put(b, strlen(text) + 1, 2);
	sn_buf_add(b, text, strlen(text) + 1);
}

static inline void put_ct2_variable(sn_buf *b, const char *name, int rank, const uint32_t *dims, int type, uint32_t bytes) {
	put_ct2_text(b, name);
	put(b, (uint64_t)rank, 1);
	for (int i = 0; i < rank; i++)
		put(b, dims[i], 4);
	put(b, (uint64_t)type, 1);
	put(b, bytes, 4);
}

/* embed/weight: int8 [2, 3] with scales 2 and 4; norm/gamma: float16 [2] = 1, -2; head/weight: alias of embed/weight. */
static inline void make_ctranslate2(sn_buf *b, uint32_t version) {
	put(b, version, 4);
	put_ct2_text(b, "WhisperSpec");
	put(b, 3, 4);
	put(b, 3, 4);
	put_ct2_variable(b, "embed/weight", 2, (uint32_t[]){ 2, 3 }, 1, 6);
	sn_buf_add(b, "\x02\x04\x06\xfc\x08\x0c", 6);
	put_ct2_variable(b, "embed/weight_scale", 1, (uint32_t[]){ 2 }, 0, 8);
	put_float(b, 2);
	put_float(b, 4);
	put_ct2_variable(b, "norm/gamma", 1, (uint32_t[]){ 2 }, 4, 4);
	put(b, 0x3c00, 2);
	put(b, 0xc000, 2);
	put(b, 1, 4);
	put_ct2_text(b, "head/weight");
	put_ct2_text(b, "embed/weight");
}

/* ---- ONNX: fields of the wire format ---- */

static inline void put_varint(sn_buf *b, uint64_t value) {
	for (; value >= 0x80; value >>= 7)
		put(b, value | 0x80, 1);
	put(b, value, 1);
}

static inline void put_number(sn_buf *b, uint32_t field, uint64_t value) {
	put_varint(b, field << 3);
	put_varint(b, value);
}

static inline void put_bytes(sn_buf *b, uint32_t field, const void *data, size_t size) {
	put_varint(b, field << 3 | 2);
	put_varint(b, size);
	sn_buf_add(b, data, size);
}

static inline void put_text(sn_buf *b, uint32_t field, const char *text) { put_bytes(b, field, text, strlen(text)); }

/* Moves `part` into `b` as a message and empties it. */
static inline void put_message(sn_buf *b, uint32_t field, sn_buf *part) {
	put_bytes(b, field, part->size ? part->data : "", part->size);
	sn_buf_clear(part);
}

static inline void put_tensor_head(sn_buf *b, const char *name, int rank, const uint64_t *dims, int type) {
	for (int i = 0; i < rank; i++)
		put_number(b, 1, dims[i]);
	put_number(b, 2, (uint64_t)type);
	if (name)
		put_text(b, 8, name);
}

/* A Constant node whose value is int64 [1] = `value`. */
static inline void put_constant_node(sn_buf *graph, const char *output, uint64_t value) {
	sn_buf node, attribute, tensor;
	sn_buf_init(&node, 4096);
	sn_buf_init(&attribute, 4096);
	sn_buf_init(&tensor, 4096);
	put_tensor_head(&tensor, NULL, 1, (uint64_t[]){ 1 }, 7);
	put_number(&tensor, 7, value);
	put_text(&attribute, 1, "value");
	put_message(&attribute, 5, &tensor);
	put_text(&node, 2, output);
	put_text(&node, 4, "Constant");
	put_message(&node, 5, &attribute);
	put_message(graph, 1, &node);
	sn_buf_free(&node);
	sn_buf_free(&attribute);
	sn_buf_free(&tensor);
}

/* An If node "branch" whose two bodies both hold a constant "c": 5 and 6, and use it. */
static inline void put_if_node(sn_buf *graph) {
	sn_buf node, attribute, body, inner;
	sn_buf_init(&node, 4096);
	sn_buf_init(&attribute, 4096);
	sn_buf_init(&body, 4096);
	sn_buf_init(&inner, 4096);
	put_text(&node, 3, "branch");
	put_text(&node, 4, "If");
	for (uint64_t i = 0; i < 2; i++) {
		put_constant_node(&body, "c", 5 + i);
		put_text(&inner, 1, "c");
		put_text(&inner, 3, i ? "use_else" : "use_then");
		put_text(&inner, 4, "Identity");
		put_message(&body, 1, &inner);
		put_text(&attribute, 1, i ? "else_branch" : "then_branch");
		put_message(&attribute, 6, &body);
		put_message(&node, 5, &attribute);
	}
	put_message(graph, 1, &node);
	sn_buf_free(&node);
	sn_buf_free(&attribute);
	sn_buf_free(&body);
	sn_buf_free(&inner);
}

/* raw: float32 [2] = 1, 2 in raw_data; typed: float32 [2, 1] = 3, 4 in packed float_data; half: float16 [1] = 1 in int32_data.
 * Node "conv": Conv(x, raw) with strides 2, 3 and alpha 0.5; then the If node above. */
static inline void make_onnx(sn_buf *b) {
	sn_buf graph, part, packed;
	sn_buf_init(&graph, 65536);
	sn_buf_init(&part, 4096);
	sn_buf_init(&packed, 4096);
	put_text(&part, 1, "x");
	put_text(&part, 1, "raw");
	put_text(&part, 2, "y");
	put_text(&part, 3, "conv");
	put_text(&part, 4, "Conv");
	put_text(&packed, 1, "strides");
	put_number(&packed, 8, 2);
	put_number(&packed, 8, 3);
	put_message(&part, 5, &packed);
	put_text(&packed, 1, "alpha");
	put_varint(&packed, 2 << 3 | 5);
	put_float(&packed, 0.5f);
	put_message(&part, 5, &packed);
	put_message(&graph, 1, &part);
	put_if_node(&graph);
	put_tensor_head(&part, "raw", 1, (uint64_t[]){ 2 }, 1);
	put_float(&packed, 1);
	put_float(&packed, 2);
	put_message(&part, 9, &packed);
	put_message(&graph, 5, &part);
	put_tensor_head(&part, "typed", 2, (uint64_t[]){ 2, 1 }, 1);
	put_float(&packed, 3);
	put_float(&packed, 4);
	put_message(&part, 4, &packed);
	put_message(&graph, 5, &part);
	put_tensor_head(&part, "half", 1, (uint64_t[]){ 1 }, 10);
	put_number(&part, 5, 0x3c00);
	put_message(&graph, 5, &part);
	put_number(b, 1, 8);
	put_message(b, 7, &graph);
	sn_buf_free(&graph);
	sn_buf_free(&part);
	sn_buf_free(&packed);
}

/* ---- torch.save: a zip file of stored entries ---- */

typedef struct zip_entry {
	const char *name;
	const void *data;
	size_t size;
} zip_entry;

static inline void put_zip_fields(sn_buf *b, const zip_entry *entry) {
	put(b, 0, 2); /* flags */
	put(b, 0, 2); /* stored */
	put(b, 0, 8); /* time, date, CRC: not looked at, since nothing is unpacked */
	put(b, entry->size, 4);
	put(b, entry->size, 4);
	put(b, strlen(entry->name), 2);
	put(b, 0, 2); /* extra */
}

static inline void make_zip(sn_buf *b, const zip_entry *entries, int count) {
	size_t at[16];
	for (int i = 0; i < count; i++) {
		at[i] = b->size;
		put(b, 0x04034b50, 4);
		put(b, 20, 2);
		put_zip_fields(b, entries + i);
		sn_buf_text(b, entries[i].name);
		sn_buf_add(b, entries[i].data, entries[i].size);
	}
	size_t directory = b->size;
	for (int i = 0; i < count; i++) {
		put(b, 0x02014b50, 4);
		put(b, 20, 2);
		put(b, 20, 2);
		put_zip_fields(b, entries + i);
		put(b, 0, 2);
		put(b, 0, 2);
		put(b, 0, 2);
		put(b, 0, 4);
		put(b, at[i], 4);
		sn_buf_text(b, entries[i].name);
	}
	size_t size = b->size - directory;
	put(b, 0x06054b50, 4);
	put(b, 0, 4);
	put(b, (uint64_t)count, 2);
	put(b, (uint64_t)count, 2);
	put(b, size, 4);
	put(b, directory, 4);
	put(b, 0, 2);
}

static inline void put_pickled_int(sn_buf *b, int64_t value) {
	sn_buf_text(b, value >= 0 && value < 256 ? "K" : "\x8a\x08");
	put(b, (uint64_t)value, value >= 0 && value < 256 ? 1 : 8);
}

static inline void put_pickled_ints(sn_buf *b, int count, const int64_t *values) {
	sn_buf_text(b, "(");
	for (int i = 0; i < count; i++)
		put_pickled_int(b, values[i]);
	sn_buf_text(b, "t");
}

/* One tensor: key, then storage "0" of `elements` float32 seen with offset, sizes and strides. */
static inline void put_pickled_view(sn_buf *b, const char *key, int64_t elements, int64_t offset, int rank, const int64_t *sizes,
                                    const int64_t *strides) {
	sn_buf_add(b, "X", 1);
	put(b, strlen(key), 4);
	sn_buf_text(b, key);
	sn_buf_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "0U\x03" "cpu");
	put_pickled_int(b, elements);
	sn_buf_text(b, "tQ");
	put_pickled_int(b, offset);
	put_pickled_ints(b, rank, sizes);
	put_pickled_ints(b, rank, strides);
	sn_buf_text(b, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static inline void put_pickled_tensor(sn_buf *b, const char *key, int elements, int offset, int rows, int columns, int row, int column) {
	put_pickled_view(b, key, elements, offset, 2, (int64_t[]){ rows, columns }, (int64_t[]){ row, column });
}

static inline void make_torch_of(sn_buf *b, const sn_buf *pickle, const float *values, size_t count) {
	const zip_entry entries[] = {
		{ "archive/data.pkl", pickle->data, pickle->size },
		{ "archive/byteorder", "little", 6 },
		{ "archive/data/0", values, count * sizeof *values },
	};
	make_zip(b, entries, 3);
}

/* rows [2, 3] = 1..6; turned: its transpose [3, 2], both in one dictionary under "model". */
static inline void make_torch(sn_buf *b) {
	static const float values[] = { 1, 2, 3, 4, 5, 6 };
	sn_buf pickle;
	sn_buf_init(&pickle, 4096);
	sn_buf_text(&pickle, "\x80\x02}U\x05model}(");
	put_pickled_tensor(&pickle, "rows", 6, 0, 2, 3, 3, 1);
	put_pickled_tensor(&pickle, "turned", 6, 0, 3, 2, 1, 3);
	sn_buf_text(&pickle, "us.");
	make_torch_of(b, &pickle, values, 6);
	sn_buf_free(&pickle);
}

/* ---- torch.save before version 1.6: a stream of pickles and storages ---- */

/* "X" and a text of any length. */
static inline void put_pickled_text(sn_buf *b, const char *text) {
	sn_buf_add(b, "X", 1);
	put(b, strlen(text), 4);
	sn_buf_text(b, text);
}

/* A tensor of rank 1 that sees all of storage `key` of `elements` TYPE, or the `count` from `first` on if count >= 0. */
static inline void put_stream_tensor(sn_buf *b, const char *key, const char *type, int64_t elements, int64_t first, int64_t count) {
	int64_t seen = count >= 0 ? count : elements;
	sn_buf_printf(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
	put_pickled_text(b, "storage");
	sn_buf_printf(b, "ctorch\n%s\n", type);
	put_pickled_text(b, key);
	put_pickled_text(b, "cuda:0");
	put_pickled_int(b, elements);
	if (count >= 0) {
		sn_buf_text(b, "(");
		put_pickled_text(b, "view");
		put_pickled_int(b, first);
		put_pickled_int(b, count);
		sn_buf_text(b, "t");
	} else {
		sn_buf_text(b, "N");
	}
	sn_buf_text(b, "tQ");
	put_pickled_int(b, 0);
	put_pickled_ints(b, 1, &seen);
	put_pickled_ints(b, 1, (int64_t[]){ 1 });
	sn_buf_text(b, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static inline void put_stream_front(sn_buf *b) {
	sn_buf_text(b, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}");
	put_pickled_text(b, "little_endian");
	sn_buf_text(b, "\x88s.");
}

/* The whole stream: front, the pickle of the object, the keys "0" and "1" as far as `storages` goes, and these. */
static inline void make_stream_of(sn_buf *b, const sn_buf *pickle, const zip_entry *storages, int count) {
	put_stream_front(b);
	sn_buf_add(b, pickle->data, pickle->size);
	sn_buf_text(b, "\x80\x02](");
	for (int i = 0; i < count; i++)
		put_pickled_text(b, storages[i].name);
	sn_buf_text(b, "e.");
	for (int i = 0; i < count; i++) {
		put(b, storages[i].size / 4, 8);
		sn_buf_add(b, storages[i].data, storages[i].size);
	}
}

/* whole: float32 [3] = 1, 2, 3; part: elements 1 and 2 of the same; number: int32 [1] = 7; step: 5. */
static inline void make_stream(sn_buf *b) {
	sn_buf pickle;
	sn_buf_init(&pickle, 4096);
	sn_buf_text(&pickle, "\x80\x02}(");
	put_pickled_text(&pickle, "whole");
	put_stream_tensor(&pickle, "a", "FloatStorage", 3, 0, -1);
	put_pickled_text(&pickle, "part");
	put_stream_tensor(&pickle, "a", "FloatStorage", 3, 1, 2);
	put_pickled_text(&pickle, "number");
	put_stream_tensor(&pickle, "b", "IntStorage", 1, 0, -1);
	put_pickled_text(&pickle, "step");
	sn_buf_text(&pickle, "K\x05u.");
	make_stream_of(b, &pickle, (zip_entry[]){ { "a", (float[]){ 1, 2, 3 }, 12 }, { "b", (int32_t[]){ 7 }, 4 } }, 2);
	sn_buf_free(&pickle);
}

/* ---- numpy ---- */

static inline void make_npy_of(sn_buf *b, const char *header, const void *data, size_t size) {
	sn_buf_text(b, "\x93NUMPY\x01");
	put(b, 0, 1);
	put(b, strlen(header), 2);
	sn_buf_text(b, header);
	sn_buf_add(b, data, size);
}

/* int64 [2, 2] = 1, 2, 3, 4 */
static inline void make_npy(sn_buf *b) {
	make_npy_of(b, "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }\n", (int64_t[]){ 1, 2, 3, 4 }, 32);
}

/* one and two: that array, stored */
static inline void make_npz(sn_buf *b) {
	sn_buf array;
	sn_buf_init(&array, 4096);
	make_npy(&array);
	make_zip(b, (zip_entry[]){ { "one.npy", array.data, array.size }, { "two.npy", array.data, array.size } }, 2);
	sn_buf_free(&array);
}

/* A new file each time: rewriting one makes some file systems wait for the disk. */
static inline int save(const char *path, const void *data, size_t size) {
	unlink(path);
	FILE *file = fopen(path, "wb");
	int good = file && fwrite(data, 1, size, file) == size;
	if (file)
		good &= fclose(file) == 0;
	return good;
}

#endif
