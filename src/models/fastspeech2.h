/* FastSpeech 2 and FastPitch (Ren et al. 2020, Lancucki 2020): text to mel spectrogram in one pass, with durations, pitch and energy
 * that can be scaled. Layouts: transformers' FastSpeech2ConformerModel (alone, or beside its vocoder as
 * FastSpeech2ConformerWithHifiGan) and Coqui's ForwardTTS with feed-forward transformers (FastSpeech2, FastPitch).
 *
 * Durations: Conformer round(exp(x) - 1), at least 0, then times speaking_speed / speed and rounded again; Coqui
 * max(1, (exp(x) - 1) * length_scale / speed), rounded; half to even. The decoder's input is the encoder's row of each symbol as
 * often as its duration. One engine thread drives a loaded model. */
#ifndef SN_MODELS_FASTSPEECH2_H
#define SN_MODELS_FASTSPEECH2_H

#include "models/synth.h"

#define SN_FASTSPEECH2_MAX_TOKENS 1024 /* ids of one start */
#define SN_FASTSPEECH2_MAX_FRAMES 4096 /* spectrogram frames of one start, before the reduction factor */
#define SN_FASTSPEECH2_MAX_SPEAKERS 4096

/* The class is sn_synth_fastspeech2 (synth.h). What follows looks into a stream after start and the first next. */

/* Frames per input id. */
const int32_t *sn_fastspeech2_durations(const void *stream, int *count);
/* Copies a tensor: "log_durations", "pitch", "energy" [tokens], "mel" [frames, mels], "decoder_in" [frames, width]; of debug plans
 * any that the graphs name ("encoder_hidden0", "encoder_attn_layer0", ...). *values is the caller's (free()). */
int sn_fastspeech2_tensor(const void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
