/* Noise reduction of one timeline at any sample rate: to 48 kHz, through DeepFilterNet3, and back. As many samples come out as go in,
 * and sample i out is sample i in, cleaned: the delays of filters and networks are taken off, so times do not shift.
 *
 *	sn_denoise_open(&d, engine, 16000, 18, err);
 *	do sn_denoise_process(d, in, count, &used, out, most, &got, err); ...     (any chunks; in NULL: no more input, until *got is 0)
 *	sn_denoise_close(&d);
 */
#ifndef SN_SPEECH_DENOISE_H
#define SN_SPEECH_DENOISE_H

#include "speech/engine.h"

/* What speech to text hears: noise is lowered by at most so many decibels. Recognisers are trained on noisy speech and suffer from what
 * a network takes away with the noise; see docs/speed.md for the word error rates that chose it. */
#define SN_DENOISE_STT_LIMIT 9.0f
#define SN_DENOISE_FRAMES 24       /* of 10 ms that one call computes at most */

typedef struct sn_denoise sn_denoise;

/* Loads the installed model of the task "denoise", or takes another reference to it. limit: as sn_deepfilter_stream_open.
 * Errors: SN_E_NOT_FOUND (none is installed: says how to), those of sn_model_load and of sn_resampler_open, SN_E_MEMORY. */
int sn_denoise_open(sn_denoise **out, sn_engine *engine, int rate, float limit, char *err);
void sn_denoise_close(sn_denoise **denoise);

/* On the conductor. Takes *used of `count` samples and gives *got, at most `most` of them, after some milliseconds of computing; call
 * again with the rest. Both may be 0 only where nothing can be done. in NULL: there will be no more; *got 0 then says that all is out. */
int sn_denoise_process(sn_denoise *denoise, const float *in, size_t count, size_t *used, float *out, size_t most, size_t *got, char *err);
/* The same from another thread. */
int sn_denoise_call(sn_denoise *denoise, const float *in, size_t count, size_t *used, float *out, size_t most, size_t *got, char *err);

/* What became of it so far. Levels of the quietest tenth of the frames, in decibels below full scale (at least -120). */
typedef struct sn_denoise_facts {
	double before, after;
	double snr;                /* mean of what the network estimates */
	int64_t frames;
} sn_denoise_facts;
void sn_denoise_describe(const sn_denoise *denoise, sn_denoise_facts *facts);
void sn_denoise_name(const sn_denoise *denoise, char *name, size_t size); /* the model's */
/* One sentence of it for a note. */
void sn_denoise_remark(const sn_denoise *denoise, char *text, size_t size);

#endif
