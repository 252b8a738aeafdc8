#include "speech/retry.h"

#include <string.h>

int sn_retry_check(const sn_stt_options *o, char *err) {
	if (!(o->min_confidence >= 0 && o->min_confidence <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "min_confidence %g is outside 0 to 1", (double)o->min_confidence);
	if (o->retry_model_count < 0 || o->retry_model_count > SN_MAX_RETRIES)
		return sn_fail(err, SN_E_ARGUMENT, "retry_model_count %d is outside 0 to %d", o->retry_model_count, SN_MAX_RETRIES);
	for (int i = 0; i < o->retry_model_count; i++)
		if (!o->retry_models || !o->retry_models[i] || !*o->retry_models[i])
			return sn_fail(err, SN_E_ARGUMENT, "retry model %d of %d has no name", i + 1, o->retry_model_count);
	return SN_OK;
}

static int has_note(const sn_transcript *t, const char *code) {
	for (size_t i = 0; i < t->note_count; i++)
		if (strcmp(t->notes[i].code, code) == 0)
			return 1;
	return 0;
}

int sn_retry_wanted(const sn_transcript *t, const sn_stt_options *o) {
	if (!*t->text)
		return o->min_confidence > 0 && !has_note(t, "no_speech") && !has_note(t, "no_audio") && !has_note(t, "too_short");
	return t->avg_confidence < o->min_confidence;
}

int sn_retry_better(const sn_transcript *other, const sn_transcript *than) {
	if (!*other->text || !*than->text)
		return *other->text && !*than->text;
	return other->avg_confidence > than->avg_confidence;
}
