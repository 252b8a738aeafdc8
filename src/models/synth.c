#include "models/synth.h"

#include "base/ascii.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 320 /* bytes of the names in a message */

void sn_voice_clear(sn_voice *voice) {
	free(voice->embedding);
	for (int i = 0; i < 3; i++) free(voice->prompt[i]);
	*voice = (sn_voice){ .speaker = -1 };
}

int sn_voice_speaker(const sn_synth_facts *f, const char *name) {
	char *end;
	for (int i = 0; f->speaker_names && i < f->speakers; i++)
		if (strcmp(f->speaker_names[i], name) == 0) return i;
	for (int i = 0; f->speaker_names && i < f->speakers; i++)
		if (sn_strcasecmp(f->speaker_names[i], name) == 0) return i;
	const long number = strtol(name, &end, 10);
	return end != name && !*end && number >= 0 && number < f->speakers ? (int)number : -1;
}

int sn_voice_unknown(const sn_synth_facts *f, const char *name, char *err) {
	char list[LISTED] = "";
	int listed = 0;
	size_t used = 0;
	while (f->speaker_names && listed < f->speakers && used + strlen(f->speaker_names[listed]) + 5 < sizeof list) {
		used += (size_t)snprintf(list + used, sizeof list - used, "%s\"%s\"", listed ? ", " : "", f->speaker_names[listed]);
		listed++;
	}
	if (listed)
		return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; there %s %s%s (%d)", name, f->speakers > 1 ? "are" : "is", list,
		               listed < f->speakers ? ", ..." : "", f->speakers);
	if (f->speakers > 0)
		return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; the model has %d, numbered from 0", name, f->speakers);
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; the model has none of its own: give a .npy file of %d values", name,
	               f->embedding);
}

static const sn_weight *of_size(const sn_weights *w, int64_t size, int64_t *found) {
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *const t = sn_weights_at(w, i);
		int64_t count = 1;
		for (int a = 0; a < t->rank; a++) count *= t->dims[a];
		*found = count;
		if (count == size && (t->dtype == SN_F32 || t->dtype == SN_F64 || t->dtype == SN_F16 || t->dtype == SN_BF16)) return t;
	}
	return NULL;
}

int sn_voice_read(sn_voice *voice, const char *path, int size, char *err) {
	sn_weights *file = NULL;
	int64_t found = 0;
	int code = sn_weights_open(&file, path, err);
	if (code != SN_OK) return code;
	const sn_weight *const t = of_size(file, size, &found);
	if (!t) code = sn_fail(err, SN_E_ARGUMENT, "%s holds %lld values; a voice of this model is %d floating-point numbers", path, (long long)found, size);
	if (code == SN_OK && !(voice->embedding = malloc((size_t)size * sizeof(float)))) code = sn_fail(err, SN_E_MEMORY, "no memory for a voice");
	if (code == SN_OK) sn_weight_floats(t, 0, size, voice->embedding);
	for (int i = 0; i < size && code == SN_OK; i++)
		if (!isfinite(voice->embedding[i])) code = sn_fail(err, SN_E_ARGUMENT, "%s: value %d is not a number", path, i);
	voice->embedding_count = size;
	sn_weights_close(&file);
	if (code == SN_OK) return code;
	free(voice->embedding);
	voice->embedding = NULL;
	voice->embedding_count = 0;
	return code;
}
