#include "text/sentencepiece_internal.h"

#include "base/map.h"
#include "base/path.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the wire format of protocol buffers ---- */

typedef struct wire {
	const uint8_t *at, *end;
	int damaged;
} wire;

typedef struct field {
	uint32_t number;
	uint64_t value;      /* of a varint or 32-bit field */
	const uint8_t *data; /* of a field with a length; else NULL */
	size_t size;
} field;

static uint64_t varint(wire *w) {
	uint64_t value = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (w->at == w->end)
			break;
		uint8_t byte = *w->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	w->damaged = 1;
	return 0;
}

static void fixed(wire *w, size_t size, field *f) {
	if ((size_t)(w->end - w->at) < size) {
		w->damaged = 1;
		return;
	}
	for (size_t i = 0; i < size; i++)
		f->value |= (uint64_t)w->at[i] << 8 * i;
	w->at += size;
}

/* The next field; 0 at the end or where the message is damaged. */
static int next_field(wire *w, field *f) {
	if (w->damaged || w->at == w->end)
		return 0;
	uint64_t tag = varint(w);
	*f = (field){ .number = (uint32_t)(tag >> 3) };
	switch (tag & 7) {
	case 0: f->value = varint(w); break;
	case 1: fixed(w, 8, f); break;
	case 5: fixed(w, 4, f); break;
	case 2:
		f->value = varint(w);
		f->data = w->at;
		f->size = (size_t)f->value;
		if (w->damaged || f->value > (uint64_t)(w->end - w->at))
			w->damaged = 1;
		else
			w->at += f->size;
		break;
	default: w->damaged = 1;
	}
	return !w->damaged;
}

static wire inside(const field *f) { return (wire){ f->data, f->data ? f->data + f->size : NULL, !f->data }; }

static float real(const field *f) {
	uint32_t bits = (uint32_t)f->value;
	float number;
	memcpy(&number, &bits, sizeof number);
	return number;
}

static int damaged(const char *path, const wire *w, const uint8_t *start, char *err) {
	return sn_fail(err, SN_E_FORMAT, "%s is no SentencePiece model: damaged at byte %td", path, w->at - start);
}

/* ---- pieces ---- */

int spm_byte_of(const char *piece) {
	unsigned byte;
	int length = 0;
	return strlen(piece) == 6 && sscanf(piece, "<0x%2X>%n", &byte, &length) == 1 && length == 6 ? (int)byte : -1;
}

int spm_add_piece(sn_spm *spm, const char *text, size_t size, float score, int kind, const char *path, char *err) {
	int id = spm->pieces.size;
	if (!size || memchr(text, 0, size))
		return sn_fail(err, SN_E_MODEL, "%s: piece %d is empty or holds a NUL", path, id);
	if (kind < SPM_NORMAL || kind > SPM_BYTE || !isfinite(score))
		return sn_fail(err, SN_E_MODEL, "%s: piece %d has type %d and score %g; a type from 1 to 6 and a finite score are expected", path, id, kind,
		               (double)score);
	int result = vocab_add(&spm->pieces, id, text, size, path, err);
	if (result != SN_OK)
		return result;
	if ((id & (id + 1)) == 0) { /* room is doubled when the id is one less than a power of two */
		size_t room = 2 * (size_t)id + 2;
		float *scores = realloc(spm->scores, room * sizeof *scores);
		spm->scores = scores ? scores : spm->scores;
		uint8_t *kinds = realloc(spm->kinds, 2 * room);
		spm->kinds = kinds ? kinds : spm->kinds;
		if (!scores || !kinds)
			return sn_fail(err, SN_E_MEMORY, "out of memory for %zu pieces", room);
	}
	spm->scores[id] = score;
	spm->kinds[id] = (uint8_t)kind;
	return SN_OK;
}

/* SentencePiece: piece 1, score 2, type 3 */
static int read_piece(sn_spm *spm, wire w, const char *path, char *err) {
	field f, text = { 0 };
	float score = 0;
	int kind = SPM_NORMAL;
	while (next_field(&w, &f)) {
		if (f.number == 1 && f.data)
			text = f;
		else if (f.number == 2)
			score = real(&f);
		else if (f.number == 3)
			kind = f.value > SPM_BYTE ? 0 : (int)f.value;
	}
	if (w.damaged || !text.data)
		return sn_fail(err, SN_E_FORMAT, "%s: piece %d is damaged", path, spm->pieces.size);
	return spm_add_piece(spm, (const char *)text.data, text.size, score, kind, path, err);
}

/* TrainerSpec: model_type 3, treat_whitespace_as_suffix 24, allow_whitespace_only_pieces 26, byte_fallback 35, unk_surface 44 */
static int read_trainer(sn_spm *spm, wire w, const char *path, char *err) {
	field f;
	uint64_t type = SN_SPM_UNIGRAM;
	while (next_field(&w, &f)) {
		if (f.number == 3)
			type = f.value;
		else if (f.number == 24)
			spm->config.whitespace_as_suffix = f.value != 0;
		else if (f.number == 26)
			spm->only_white = f.value != 0;
		else if (f.number == 35)
			spm->config.byte_fallback = f.value != 0;
		else if (f.number == 44 && f.data && f.size < sizeof spm->unknown_text)
			snprintf(spm->unknown_text, sizeof spm->unknown_text, "%.*s", (int)f.size, (const char *)f.data);
	}
	if (w.damaged)
		return sn_fail(err, SN_E_FORMAT, "%s: the trainer's settings are damaged", path);
	if (type < SN_SPM_UNIGRAM || type > SN_SPM_CHAR)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: model type %llu; known are 1 (unigram), 2 (BPE), 3 (word) and 4 (char)", path,
		               (unsigned long long)type);
	spm->config.type = (sn_spm_type)type;
	return SN_OK;
}

/* NormalizerSpec: precompiled_charsmap 2, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5 */
static int read_normalizer(sn_spm *spm, wire w, const char *path, char *err) {
	field f;
	while (next_field(&w, &f)) {
		if (f.number == 2 && f.size) {
			int result = spm_rules_read(&spm->rules, f.data, f.size, path, err);
			if (result != SN_OK)
				return result;
		} else if (f.number == 3) {
			spm->config.add_dummy_prefix = f.value != 0;
		} else if (f.number == 4) {
			spm->config.remove_extra_whitespaces = f.value != 0;
		} else if (f.number == 5) {
			spm->config.escape_whitespaces = f.value != 0;
		}
	}
	return w.damaged ? sn_fail(err, SN_E_FORMAT, "%s: the normaliser's settings are damaged", path) : SN_OK;
}

static int check_denormalizer(wire w, const char *path, char *err) {
	field f;
	while (next_field(&w, &f))
		if (f.number == 2 && f.size)
			return sn_fail(err, SN_E_UNSUPPORTED, "%s has rules for decoding (denormalizer_spec), which are not supported", path);
	return w.damaged ? sn_fail(err, SN_E_FORMAT, "%s: the denormaliser's settings are damaged", path) : SN_OK;
}

/* ModelProto: pieces 1, trainer_spec 2, normalizer_spec 3, denormalizer_spec 5 */
static int read_model(sn_spm *spm, const sn_map *map, const char *path, char *err) {
	wire w = { map->data, map->data + map->size, 0 };
	field f;
	int result = SN_OK;
	if (map->size > SN_SPM_MAX_FILE)
		return sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %zu are read as a SentencePiece model", path, map->size, SN_SPM_MAX_FILE);
	while (result == SN_OK && next_field(&w, &f)) {
		if (f.number == 1)
			result = read_piece(spm, inside(&f), path, err);
		else if (f.number == 2)
			result = read_trainer(spm, inside(&f), path, err);
		else if (f.number == 3)
			result = read_normalizer(spm, inside(&f), path, err);
		else if (f.number == 5)
			result = check_denormalizer(inside(&f), path, err);
	}
	return result == SN_OK && w.damaged ? damaged(path, &w, map->data, err) : result;
}

/* ---- what is derived from the pieces ---- */

static int find_kinds(sn_spm *spm, const char *path, char *err) {
	int bytes = 0;
	spm->least = FLT_MAX;
	spm->most = -FLT_MAX;
	for (int i = 0; i < 256; i++)
		spm->byte_ids[i] = -1;
	spm->config.unknown = -1;
	for (int32_t id = 0; id < spm->config.size; id++) {
		int kind = spm->kinds[id], byte = kind == SPM_BYTE ? spm_byte_of(vocab_text(&spm->pieces, id)) : -1;
		if (kind == SPM_UNKNOWN && spm->config.unknown >= 0)
			return sn_fail(err, SN_E_MODEL, "%s: the pieces %d and %d are both the unknown one", path, spm->config.unknown, id);
		if (kind == SPM_UNKNOWN)
			spm->config.unknown = id;
		if (kind == SPM_BYTE && byte < 0)
			return sn_fail(err, SN_E_MODEL, "%s: the byte piece %d is '%.40s'; <0x00> to <0xFF> are expected", path, id,
			               vocab_text(&spm->pieces, id));
		if (byte >= 0 && spm->byte_ids[byte] < 0) {
			spm->byte_ids[byte] = id;
			bytes++;
		}
		spm->has_unused |= kind == SPM_UNUSED;
		if (kind == SPM_NORMAL) {
			spm->least = spm->scores[id] < spm->least ? spm->scores[id] : spm->least;
			spm->most = spm->scores[id] > spm->most ? spm->scores[id] : spm->most;
		}
		spm->found_in[id] = kind != SPM_NORMAL && kind != SPM_USER && kind != SPM_UNUSED;
	}
	if (spm->config.unknown < 0)
		return sn_fail(err, SN_E_MODEL, "%s: none of the %d pieces is the unknown one (type 2)", path, spm->config.size);
	if (spm->config.byte_fallback && bytes != 256)
		return sn_fail(err, SN_E_MODEL, "%s: byte fallback needs 256 byte pieces and there are %d", path, bytes);
	return SN_OK;
}

static int index_pieces(sn_spm *spm, const char *path, char *err) {
	spm->config.size = spm->pieces.size;
	if (!spm->config.size)
		return sn_fail(err, SN_E_FORMAT, "%s has no pieces; it is no SentencePiece model", path);
	spm->found_in = malloc((size_t)spm->config.size);
	if (!spm->found_in)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %d pieces", spm->config.size);
	int result = find_kinds(spm, path, err);
	if (result == SN_OK)
		result = vocab_index_build(&spm->pieces, &spm->normal, spm->found_in, 0, path, err);
	if (result == SN_OK)
		result = vocab_index_build(&spm->pieces, &spm->reserved, spm->found_in, 1, path, err);
	if (result == SN_OK)
		result = vocab_index_build(&spm->pieces, &spm->user, spm->kinds, SPM_USER, path, err);
	if (result != SN_OK)
		return result;
	spm->config.begin = sn_spm_id(spm, "<s>");
	spm->config.end = sn_spm_id(spm, "</s>");
	spm->config.pad = sn_spm_id(spm, "<pad>");
	return SN_OK;
}

int sn_spm_open(sn_spm **out, const char *path, char *err) {
	*out = NULL;
	sn_map map = { 0 };
	sn_spm *spm = calloc(1, sizeof *spm);
	if (!spm)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	spm->config =
		(sn_spm_config){ .type = SN_SPM_UNIGRAM, .add_dummy_prefix = 1, .remove_extra_whitespaces = 1, .escape_whitespaces = 1 };
	strcpy(spm->unknown_text, " \xe2\x81\x87 ");
	int result;
	if (sn_path_ends_with(path, ".json")) {
		result = spm_read_json(spm, path, err);
	} else {
		result = sn_map_open(&map, path, err);
		if (result == SN_OK)
			result = map.size ? read_model(spm, &map, path, err) : sn_fail(err, SN_E_FORMAT, "%s is empty", path);
		sn_map_close(&map);
	}
	if (result == SN_OK)
		result = index_pieces(spm, path, err);
	if (result != SN_OK)
		sn_spm_close(&spm);
	*out = spm;
	return result;
}

void sn_spm_close(sn_spm **out) {
	sn_spm *spm = *out;
	*out = NULL;
	if (!spm)
		return;
	vocab_free(&spm->pieces);
	vocab_index_free(&spm->normal);
	vocab_index_free(&spm->reserved);
	vocab_index_free(&spm->user);
	free(spm->rules.units);
	free(spm->rules.texts);
	free(spm->found_in);
	free(spm->kinds);
	free(spm->scores);
	free(spm);
}

const sn_spm_config *sn_spm_get_config(const sn_spm *spm) { return &spm->config; }

int32_t sn_spm_id(const sn_spm *spm, const char *piece) {
	int32_t id = vocab_find(&spm->pieces, &spm->reserved, piece, strlen(piece));
	return id >= 0 ? id : vocab_find(&spm->pieces, &spm->normal, piece, strlen(piece));
}

const char *sn_spm_piece(const sn_spm *spm, int32_t id) { return vocab_text(&spm->pieces, id); }

int sn_spm_special(const sn_spm *spm, int32_t id) {
	return id >= 0 && id < spm->config.size && (spm->kinds[id] == SPM_CONTROL || spm->kinds[id] == SPM_UNKNOWN);
}
