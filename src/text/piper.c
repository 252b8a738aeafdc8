#include "text/piper_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

/* ---- the configuration ---- */

static int by_key(const void *a, const void *b) { return strcmp(((const piper_entry *)a)->key, ((const piper_entry *)b)->key); }

static const piper_entry *find(const piper_table *table, const char *key, size_t size) {
	piper_entry wanted;
	if (!table->count || size > SN_PIPER_MAX_KEY)
		return NULL;
	memcpy(wanted.key, key, size);
	wanted.key[size] = 0;
	return bsearch(&wanted, table->entries, (size_t)table->count, sizeof wanted, by_key);
}

static int copy_text(const json_t *object, const char *key, char *out, size_t size, const char *path, char *err) {
	const json_t *value = json_object_get(object, key);
	if (!value || json_is_null(value))
		return SN_OK;
	if (!json_is_string(value) || json_string_length(value) >= size)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be a text of at most %zu bytes", path, key, size - 1);
	strcpy(out, json_string_value(value));
	return SN_OK;
}

static int read_entry(piper_entry *entry, const char *key, const json_t *value, int symbols, const char *path, char *err) {
	size_t size = strlen(key), count = json_array_size(value);
	if (!size || size > SN_PIPER_MAX_KEY || !count || count > SN_PIPER_MAX_IDS)
		return sn_fail(err, SN_E_MODEL, "%s: the phoneme '%.40s' must have 1 to %d bytes and 1 to %d ids", path, key, SN_PIPER_MAX_KEY,
		               SN_PIPER_MAX_IDS);
	strcpy(entry->key, key);
	entry->count = (int)count;
	for (size_t i = 0; i < count; i++) {
		const json_t *id = json_array_get(value, i);
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= symbols)
			return sn_fail(err, SN_E_MODEL, "%s: the ids of phoneme '%s' must lie between 0 and %d", path, key, symbols - 1);
		entry->ids[i] = (int32_t)json_integer_value(id);
	}
	return SN_OK;
}

static int alloc_table(piper_table *table, size_t count, const char *what, const char *path, char *err) {
	if (count > SN_PIPER_MAX_PHONEMES)
		return sn_fail(err, SN_E_LIMIT, "%s: %s has %zu entries; at most %d are allowed", path, what, count, SN_PIPER_MAX_PHONEMES);
	table->entries = calloc(count + 1, sizeof *table->entries);
	return table->entries ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for the phonemes of %s", path);
}

static int read_ids(sn_piper *piper, json_t *map, const char *path, char *err) {
	const char *key;
	json_t *value;
	if (!json_object_size(map))
		return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_id_map' must be an object of phonemes and lists of ids", path);
	int result = alloc_table(&piper->ids, json_object_size(map), "phoneme_id_map", path, err);
	if (result != SN_OK)
		return result;
	json_object_foreach(map, key, value) {
		result = read_entry(&piper->ids.entries[piper->ids.count++], key, value, piper->config.symbols, path, err);
		if (result != SN_OK)
			return result;
	}
	qsort(piper->ids.entries, (size_t)piper->ids.count, sizeof *piper->ids.entries, by_key);
	piper->begin = find(&piper->ids, "^", 1);
	piper->pad = find(&piper->ids, "_", 1);
	piper->end = find(&piper->ids, "$", 1);
	if (!piper->begin || !piper->pad || !piper->end)
		return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_id_map' must have '^', '_' and '$'", path);
	return SN_OK;
}

/* [["a", "ɪ"], ...] */
static int read_clusters(sn_piper *piper, const json_t *list, const char *path, char *err) {
	json_t *cluster, *part;
	size_t i, k;
	int result = alloc_table(&piper->clusters, json_array_size(list), "vowel_clusters", path, err);
	if (result != SN_OK)
		return result;
	json_array_foreach(list, i, cluster) {
		piper_entry *entry = &piper->clusters.entries[piper->clusters.count++];
		size_t size = 0;
		json_array_foreach(cluster, k, part) {
			size_t length = json_is_string(part) ? json_string_length(part) : SN_PIPER_MAX_KEY + 1;
			if (size + length > SN_PIPER_MAX_KEY)
				return sn_fail(err, SN_E_MODEL, "%s: a vowel cluster must be a list of texts of at most %d bytes", path, SN_PIPER_MAX_KEY);
			memcpy(entry->key + size, json_string_value(part), length);
			size += length;
		}
		if ((int)size > piper->longest_cluster)
			piper->longest_cluster = (int)size;
	}
	qsort(piper->clusters.entries, (size_t)piper->clusters.count, sizeof *piper->clusters.entries, by_key);
	return SN_OK;
}

static int read_speakers(sn_piper *piper, json_t *map, const char *path, char *err) {
	const char *name;
	json_t *value;
	size_t count = json_object_size(map);
	if (count > SN_PIPER_MAX_SPEAKERS)
		return sn_fail(err, SN_E_LIMIT, "%s: 'speaker_id_map' has %zu names; at most %d are allowed", path, count, SN_PIPER_MAX_SPEAKERS);
	piper->speakers = calloc(count + 1, sizeof *piper->speakers);
	if (!piper->speakers)
		return sn_fail(err, SN_E_MEMORY, "out of memory for the speakers of %s", path);
	json_object_foreach(map, name, value) {
		if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= piper->config.speakers)
			return sn_fail(err, SN_E_MODEL, "%s: the id of speaker '%.60s' must lie between 0 and %d", path, name,
			               piper->config.speakers - 1);
		piper->speakers[piper->named] = (piper_speaker){ strdup(name), (int)json_integer_value(value) };
		if (!piper->speakers[piper->named++].name)
			return sn_fail(err, SN_E_MEMORY, "out of memory for the speakers of %s", path);
	}
	return SN_OK;
}

/* "phoneme_map" is kept as it is: {phoneme: [phonemes]}. */
static int read_phoneme_map(sn_piper *piper, json_t *map, const char *path, char *err) {
	const char *key;
	json_t *list, *part;
	size_t i;
	json_object_foreach(map, key, list) {
		if (!json_is_array(list))
			return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_map' must be an object of lists of phonemes", path);
		json_array_foreach(list, i, part)
			if (!json_is_string(part))
				return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_map' must be an object of lists of phonemes", path);
	}
	if (json_object_size(map))
		piper->phoneme_map = json_incref(map);
	return SN_OK;
}

static int read_type(sn_piper_config *config, const json_t *root, const char *path, char *err) {
	char type[32] = "espeak";
	int result = copy_text(root, "phoneme_type", type, sizeof type, path, err);
	config->phonemize = strcmp(type, "espeak") == 0;
	if (result == SN_OK && !config->phonemize && strcmp(type, "text") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: phonemes of type '%s' cannot be made; espeak and text can", path, type);
	if (result == SN_OK)
		result = copy_text(json_object_get(root, "espeak"), "voice", config->espeak_voice, sizeof config->espeak_voice, path, err);
	if (result == SN_OK && config->phonemize && !config->espeak_voice[0])
		return sn_fail(err, SN_E_MODEL, "%s: 'espeak' has no 'voice'", path);
	if (result == SN_OK)
		result = copy_text(json_object_get(root, "language"), "code", config->language, sizeof config->language, path, err);
	return result;
}

static int read_numbers(sn_piper_config *config, const json_t *root, const char *path, char *err) {
	const json_t *inference = json_object_get(root, "inference");
	int64_t rate = 0, hop = 256, symbols = 256, speakers = 1, speaker = 0;
	double noise = 0.667, duration = 0.8, length = 1;
	int result = sn_json_int(json_object_get(root, "audio"), "sample_rate", 1000, 192000, &rate, path, err);
	if (result == SN_OK && !rate)
		return sn_fail(err, SN_E_MODEL, "%s: 'audio' has no 'sample_rate'", path);
	if (result == SN_OK)
		result = sn_json_int(root, "hop_length", 1, 65536, &hop, path, err);
	if (result == SN_OK)
		result = sn_json_int(root, "num_symbols", 1, SN_PIPER_MAX_SYMBOLS, &symbols, path, err);
	if (result == SN_OK)
		result = sn_json_int(root, "num_speakers", 0, SN_PIPER_MAX_SPEAKERS, &speakers, path, err);
	if (result == SN_OK)
		result = sn_json_int(root, "default_speaker_id", 0, speakers > 1 ? speakers - 1 : 0, &speaker, path, err);
	if (result == SN_OK)
		result = sn_json_double(inference, "noise_scale", 0, 10, &noise, path, err);
	if (result == SN_OK)
		result = sn_json_double(inference, "noise_w", 0, 10, &duration, path, err);
	if (result == SN_OK)
		result = sn_json_double(inference, "length_scale", 0.01, 100, &length, path, err);
	*config = (sn_piper_config){ .sample_rate = (int)rate, .hop = (int)hop, .symbols = (int)symbols, .default_speaker = (int)speaker,
		                         .speakers = speakers > 1 ? (int)speakers : 1, .noise_scale = (float)noise,
		                         .noise_duration = (float)duration, .length_scale = (float)length };
	return result;
}

static int read_config(sn_piper *piper, const json_t *root, const char *path, char *err) {
	if (!json_is_object(root))
		return sn_fail(err, SN_E_FORMAT, "%s: an object with the voice's configuration is expected", path);
	int result = read_numbers(&piper->config, root, path, err);
	if (result == SN_OK)
		result = read_type(&piper->config, root, path, err);
	if (result == SN_OK)
		result = read_ids(piper, json_object_get(root, "phoneme_id_map"), path, err);
	if (result == SN_OK)
		result = read_clusters(piper, json_object_get(root, "vowel_clusters"), path, err);
	if (result == SN_OK)
		result = read_phoneme_map(piper, json_object_get(root, "phoneme_map"), path, err);
	return result == SN_OK ? read_speakers(piper, json_object_get(root, "speaker_id_map"), path, err) : result;
}

int sn_piper_open(sn_piper **out, const char *path, char *err) {
	json_t *root;
	*out = NULL;
	int result = sn_json_file(&root, path, err);
	if (result != SN_OK)
		return result;
	sn_piper *piper = calloc(1, sizeof *piper);
	result = piper ? read_config(piper, root, path, err) : sn_fail(err, SN_E_MEMORY, "out of memory for the voice %s", path);
	json_decref(root);
	if (result != SN_OK)
		sn_piper_close(&piper);
	*out = piper;
	return result;
}

void sn_piper_close(sn_piper **out) {
	sn_piper *piper = *out;
	*out = NULL;
	if (!piper)
		return;
	for (int i = 0; i < piper->named; i++)
		free(piper->speakers[i].name);
	free(piper->speakers);
	free(piper->ids.entries);
	free(piper->clusters.entries);
	json_decref(piper->phoneme_map);
	free(piper);
}

const sn_piper_config *sn_piper_get_config(const sn_piper *piper) { return &piper->config; }

int sn_piper_speaker(const sn_piper *piper, const char *name) {
	for (int i = 0; i < piper->named; i++)
		if (strcmp(piper->speakers[i].name, name) == 0)
			return piper->speakers[i].id;
	return -1;
}

const char *sn_piper_speaker_name(const sn_piper *piper, int speaker) {
	for (int i = 0; i < piper->named; i++)
		if (piper->speakers[i].id == speaker)
			return piper->speakers[i].name;
	return NULL;
}

/* ---- phonemes to ids ---- */

int piper_unit(const sn_piper *piper, const char *text, size_t size) {
	int32_t length = 0, most = size < SN_PIPER_MAX_KEY ? (int32_t)size : SN_PIPER_MAX_KEY;
	for (int32_t n = piper->longest_cluster < most ? piper->longest_cluster : most; n > 1; n--)
		if (find(&piper->clusters, text, (size_t)n))
			return n;
	U8_FWD_1((const uint8_t *)text, length, (int32_t)size);
	return length;
}

static int put(const piper_entry *entry, int32_t *ids, int count) {
	if (ids)
		memcpy(ids + count, entry->ids, (size_t)entry->count * sizeof *ids);
	return count + entry->count;
}

static int put_phoneme(const sn_piper *piper, const char *key, size_t size, int32_t *ids, int count, int *missing) {
	const piper_entry *entry = find(&piper->ids, key, size);
	if (!entry) {
		++*missing;
		return count;
	}
	return put(piper->pad, ids, put(entry, ids, count));
}

int piper_text_ids(const sn_piper *piper, const char *text, size_t size, int32_t *ids, int *missing) {
	int count = 0;
	for (size_t i = 0; i < size;) {
		size_t length = (size_t)piper_unit(piper, text + i, size - i), k;
		json_t *instead = json_object_getn(piper->phoneme_map, text + i, length), *part;
		if (!instead)
			count = put_phoneme(piper, text + i, length, ids, count, missing);
		json_array_foreach(instead, k, part)
			count = put_phoneme(piper, json_string_value(part), json_string_length(part), ids, count, missing);
		i += length;
	}
	return count;
}

int piper_decompose(const char *text, size_t size, sn_buf *out, char *err) {
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfd = unorm2_getNFDInstance(&status);
	int32_t room = (int32_t)size + 1, length = 0;
	UChar *wide = malloc((size_t)room * sizeof *wide), *decomposed = NULL;
	char *bytes = NULL;
	if (wide)
		u_strFromUTF8(wide, room, &length, text, (int32_t)size, &status);
	int32_t more = 4 * length + 1; /* the longest decomposition has four UTF-16 units for one */
	decomposed = malloc((size_t)more * sizeof *decomposed);
	bytes = malloc((size_t)more * 3);
	int result = SN_OK;
	if (!wide || !decomposed || !bytes) {
		result = sn_fail(err, SN_E_MEMORY, "out of memory for the phonemes of %zu bytes", size);
	} else {
		int32_t used = 0;
		length = unorm2_normalize(nfd, wide, length, decomposed, more, &status);
		u_strToUTF8(bytes, more * 3, &used, decomposed, length, &status);
		if (U_FAILURE(status))
			result = sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8 (%s)", u_errorName(status));
		else if ((result = sn_buf_add(out, bytes, (size_t)used)) != SN_OK)
			result = sn_fail(err, result, "the phonemes of one text take more than %zu bytes", out->max);
	}
	free(wide);
	free(decomposed);
	free(bytes);
	return result;
}

int sn_piper_ids(const sn_piper *piper, const char *phonemes, size_t size, int32_t *ids, int max, int *count, int *missing, char *err) {
	sn_buf text;
	sn_buf_init(&text, (size_t)16 << 20);
	*count = *missing = 0;
	int result = size <= (size_t)4 << 20 ? piper_decompose(phonemes, size, &text, err)
	                                     : sn_fail(err, SN_E_LIMIT, "%zu bytes of phonemes; at most 4 MiB are taken", size);
	if (result == SN_OK) {
		int around = piper->begin->count + piper->pad->count + piper->end->count, ignored = 0;
		int needed = around + piper_text_ids(piper, text.data, text.size, NULL, &ignored);
		if (needed > max) {
			result = sn_fail(err, SN_E_LIMIT, "the phonemes make %d ids; at most %d are taken", needed, max);
		} else {
			int n = put(piper->pad, ids, put(piper->begin, ids, 0));
			n += piper_text_ids(piper, text.data, text.size, ids + n, missing);
			*count = put(piper->end, ids, n);
		}
	}
	sn_buf_free(&text);
	return result;
}
