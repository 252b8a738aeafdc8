/* Which vocoder makes sound of a model's spectrograms. */
#ifndef SN_SPEECH_VOCODERS_H
#define SN_SPEECH_VOCODERS_H

#include "speech/engine.h"

#define SN_GRIFFIN_LIM "griffin-lim"

/* A layout in words: "80 mels of 22050 Hz, hop 256, ...", only what it states. */
void sn_mel_describe(char out[SN_MEL_TEXT], const sn_mel_layout *mel);

/* Vocoders stay out of int8. */
nn_dtype sn_vocoder_dtype(nn_dtype model);

/* The one that a model takes by itself, for a caller that holds load_lock: in its own files, beside them, an installed one that fits
 * exactly, Griffin-Lim. *out is a reference of the caller's. Errors: SN_E_ARGUMENT (the one beside it does not fit), SN_E_NOT_FOUND
 * (none, and the layout says too little for Griffin-Lim), those of loading. */
int sn_vocoder_of_model(sn_model **out, const sn_model *model, char *err);

/* The one that a caller names, loaded and checked against the model; NULL: the model's own. */
int sn_vocoder_choose(sn_model **out, const sn_model *model, const char *name, char *err);

#endif
