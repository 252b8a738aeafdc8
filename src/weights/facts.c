#include "weights/facts.h"

#include "base/hash.h"
#include "weights/reader.h"

#include <stdlib.h>
#include <string.h>

/* Where the fact of that path is or belongs in the hash table. */
static size_t slot_of(const sn_weights *weights, const char *path) {
	size_t at = (size_t)sn_hash_text(SN_HASH_INIT, path) & (weights->fact_slot_count - 1);
	while (weights->fact_slots[at] && strcmp(weights->facts[weights->fact_slots[at] - 1].path, path) != 0)
		at = (at + 1) & (weights->fact_slot_count - 1);
	return at;
}

static const sn_fact *find(const sn_weights *weights, const char *path) {
	uint32_t index = weights->fact_slot_count ? weights->fact_slots[slot_of(weights, path)] : 0;
	return index ? weights->facts + index - 1 : NULL;
}

/* At most half of the slots are taken. */
static int make_room(sn_weights *weights) {
	if (weights->fact_count == weights->fact_capacity) {
		size_t capacity = weights->fact_capacity ? weights->fact_capacity * 2 : 256;
		sn_fact *facts = realloc(weights->facts, capacity * sizeof *facts);
		if (!facts)
			return SN_E_MEMORY;
		weights->facts = facts;
		weights->fact_capacity = capacity;
	}
	if (2 * (weights->fact_count + 1) <= weights->fact_slot_count)
		return SN_OK;
	size_t slot_count = weights->fact_slot_count ? weights->fact_slot_count * 4 : 1024;
	uint32_t *slots = calloc(slot_count, sizeof *slots);
	if (!slots)
		return SN_E_MEMORY;
	free(weights->fact_slots);
	weights->fact_slots = slots;
	weights->fact_slot_count = slot_count;
	for (size_t i = 0; i < weights->fact_count; i++)
		slots[slot_of(weights, weights->facts[i].path)] = (uint32_t)i + 1;
	return SN_OK;
}

int sn_facts_add(sn_weights *weights, const sn_fact *fact, const char *file, char *err) {
	if (find(weights, fact->path))
		return SN_OK;
	if (weights->fact_count == SN_WEIGHTS_MAX_FACTS)
		return sn_fail(err, SN_E_LIMIT, "%s: more than %d numbers, texts and dictionaries", file, SN_WEIGHTS_MAX_FACTS);
	if (make_room(weights) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory for what is written beside the tensors", file);
	weights->facts[weights->fact_count++] = *fact;
	weights->fact_slots[slot_of(weights, fact->path)] = (uint32_t)weights->fact_count;
	return SN_OK;
}

int sn_weights_number(const sn_weights *weights, const char *path, double *value) {
	const sn_fact *fact = find(weights, path);
	if (!fact || fact->kind != SN_FACT_NUMBER)
		return 0;
	*value = fact->is.number;
	return 1;
}

const char *sn_weights_text(const sn_weights *weights, const char *path) {
	const sn_fact *fact = find(weights, path);
	return fact && fact->kind == SN_FACT_TEXT ? fact->is.text : NULL;
}

/* The first elements of a tensor as numbers. */
static void tensor_numbers(const sn_weight *tensor, int count, double *values) {
	for (int i = 0; i < count; i++) {
		float real = 0;
		int64_t integer = 0;
		if (tensor->dtype == SN_F64) {
			memcpy(values + i, (const char *)tensor->data + (size_t)i * sizeof *values, sizeof *values);
		} else if (sn_weight_integers(tensor, i, 1, &integer) && !tensor->row_scale) {
			values[i] = (double)integer;
		} else {
			sn_weight_floats(tensor, i, 1, &real);
			values[i] = (double)real;
		}
	}
}

int sn_weights_numbers(const sn_weights *weights, const char *path, double *values, int max, int *count) {
	const sn_fact *fact = find(weights, path);
	const sn_weight *tensor = fact ? NULL : sn_weights_find(weights, path);
	size_t all = fact ? fact->count : tensor ? tensor->bytes / sn_dtype_size(tensor->dtype) : 0;
	if ((fact && fact->kind != SN_FACT_NUMBERS) || (!fact && !tensor) || all > INT32_MAX)
		return 0;
	*count = (int)all;
	int some = *count < max ? *count : max;
	if (tensor)
		tensor_numbers(tensor, some, values);
	else if (some > 0)
		memcpy(values, fact->is.numbers, (size_t)some * sizeof *values);
	return 1;
}

size_t sn_weights_key_count(const sn_weights *weights, const char *path) {
	const sn_fact *fact = find(weights, path);
	return fact && fact->kind == SN_FACT_DICT ? fact->count : 0;
}

const char *sn_weights_key_at(const sn_weights *weights, const char *path, size_t index) {
	const sn_fact *fact = find(weights, path);
	return fact && fact->kind == SN_FACT_DICT && index < fact->count ? fact->is.keys[index] : NULL;
}
