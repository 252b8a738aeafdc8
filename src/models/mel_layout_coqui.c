#include "models/mel_layout.h"

#include <string.h>

int sn_mel_layout_coqui(sn_mel_layout *m, const json_t *config, const char *file, char *err) {
	const json_t *const audio = json_object_get(config, "audio");
	const char *const log = json_string_value(json_object_get(audio, "log_func"));
	*m = (sn_mel_layout){ .sample_rate = 22050, .mels = 80, .fft = 1024, .hop = 256, .window = 1024, .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_10,
	                      .floor = 1e-5f, .gain = 20, .normalised = 1, .symmetric = 1, .min_db = -100, .ref_db = 20, .max_norm = 4 };
	const struct { const char *key; int64_t most; int *out; } numbers[] = {
		{ "sample_rate", 384000, &m->sample_rate }, { "num_mels", 4096, &m->mels }, { "fft_size", 1 << 20, &m->fft },
		{ "hop_length", 1 << 20, &m->hop }, { "win_length", 1 << 20, &m->window },
	};
	const struct { const char *key; double least, most; float *out; } fractions[] = {
		{ "mel_fmin", 0, 192000, &m->low }, { "mel_fmax", 0, 192000, &m->high }, { "min_level_db", -1000, 1000, &m->min_db },
		{ "ref_level_db", -1000, 1000, &m->ref_db }, { "max_norm", -1000, 1000, &m->max_norm }, { "preemphasis", 0, 1, &m->preemphasis },
		{ "spec_gain", 0, 1000, &m->gain },
	};
	int code = audio && !json_is_object(audio) ? sn_fail(err, SN_E_MODEL, "%s: 'audio' must be an object", file) : SN_OK;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == SN_OK; i++)
		code = sn_json_int32(audio, numbers[i].key, 0, numbers[i].most, numbers[i].out, file, err);
	for (size_t i = 0; i < sizeof fractions / sizeof *fractions && code == SN_OK; i++)
		code = sn_json_float(audio, fractions[i].key, fractions[i].least, fractions[i].most, fractions[i].out, file, err);
	if (code == SN_OK) code = sn_json_bool(audio, "signal_norm", &m->normalised, file, err);
	if (code == SN_OK) code = sn_json_bool(audio, "symmetric_norm", &m->symmetric, file, err);
	if (code != SN_OK) return code;
	if (m->sample_rate < 1000 || m->hop < 1)
		return sn_fail(err, SN_E_MODEL, "%s: 'sample_rate' %d and 'hop_length' %d must be at least 1000 and 1", file, m->sample_rate, m->hop);
	if (log && strcmp(log, "np.log") == 0) m->log = SN_MEL_LOG_E;
	if (m->normalised && json_is_string(json_object_get(audio, "stats_path"))) m->normalised = 2;
	return SN_OK;
}
