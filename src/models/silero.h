/* Silero VAD v5/v6 (silero-vad package): speech probability of 32 ms chunks. One engine thread drives a loaded model. */
#ifndef SN_MODELS_SILERO_H
#define SN_MODELS_SILERO_H

#include "models/options.h"

typedef struct sn_silero sn_silero;
typedef struct sn_silero_stream {
	float state[2][128], context[64];
	int rate; /* 16000: chunks of 512 with 64 of context; 8000: 256 with 32 */
} sn_silero_stream;

int sn_silero_open(sn_silero **out, const sn_load_options *load, char *err);
void sn_silero_close(sn_silero **silero);
void sn_silero_reset(sn_silero_stream *stream, int rate);
/* Speech probability of each of `chunks` whole chunks of pcm; runs chunks in blocks (the front end of many at once). */
int sn_silero_run(sn_silero *silero, sn_silero_stream *stream, const float *pcm, int chunks, float *probabilities, char *err);

#endif
