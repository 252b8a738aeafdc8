/* Voices as sessions use them: a model's own, files, and those of the bank. */
#ifndef SN_SPEECH_VOICES_H
#define SN_SPEECH_VOICES_H

#include "speech/engine.h"

#define SN_VOICE_LEAST_SECONDS 1  /* of a clip */
#define SN_VOICE_MOST_SECONDS 60  /* what is beyond is not listened to */

/* The voice of that name for the model: its own speakers first, then the bank, then files. NULL or "default": *voice is zeroed, the
 * model takes its own default. *voice is the caller's (sn_voice_clear). */
int sn_voice_find(sn_voice *voice, sn_model *model, const char *name, char *err);

#endif
