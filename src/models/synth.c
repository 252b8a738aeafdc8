#include "models/synth.h"

#include <math.h>
#include <stdlib.h>

void sn_voice_clear(sn_voice *voice) {
	free(voice->embedding);
	for (int i = 0; i < 3; i++) free(voice->prompt[i]);
	*voice = (sn_voice){ .speaker = -1 };
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
