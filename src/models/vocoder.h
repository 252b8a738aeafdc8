/* Vocoders: mel spectrogram to sound, in chunks. HiFi-GAN (Kong et al. 2020; jik876, Hugging Face SpeechT5 and FastSpeech2Conformer,
 * Coqui, SpeechBrain), MelGAN and multi-band MelGAN (Kumar et al. 2019, Yang et al. 2020; Coqui), WaveGlow (Prenger et al. 2018;
 * NVIDIA), and Griffin-Lim for spectrograms that no network at hand fits. One engine thread drives a loaded vocoder. */
#ifndef SN_MODELS_VOCODER_H
#define SN_MODELS_VOCODER_H

#include "models/mel_layout.h"
#include "models/options.h"

#define SN_VOCODER_MAX_PUSH 256    /* frames of one push */
#define SN_VOCODER_MAX_CHUNK 256   /* frames of one next */

typedef struct sn_vocoder sn_vocoder;
typedef struct sn_vocoder_stream sn_vocoder_stream;

typedef struct sn_vocoder_facts {
	const char *architecture;      /* "hifigan", "melgan", "multiband-melgan", "waveglow", "griffin-lim" */
	int sample_rate, hop;          /* hop: samples a frame */
	int extra;                     /* samples beyond frames * hop that the reference's inference makes (Coqui's padding) */
	int seeded;                    /* 1: draws noise (WaveGlow) */
	sn_mel_layout mel;
	int64_t parameters;
} sn_vocoder_facts;

/* Whether the files at `path` (a directory or a weights file) hold a vocoder, alone or beside the acoustic model of the same
 * directory (FastSpeech2ConformerWithHifiGan: tensors "vocoder.*"). */
int sn_vocoder_accepts(const char *path);
/* Which of them the weights are read from: weights[4096] is a file, or a directory that holds one. */
int sn_vocoder_locate(char weights[4096], const char *path, char *err);
int sn_vocoder_open(sn_vocoder **out, const sn_load_options *load, char *err);
/* Griffin-Lim (1984) for this layout; every field of it must be stated. Needs no files. */
int sn_vocoder_griffin_lim(sn_vocoder **out, const sn_mel_layout *mel, nn_pool *pool, char *err);
void sn_vocoder_close(sn_vocoder **vocoder);
const sn_vocoder_facts *sn_vocoder_get_facts(const sn_vocoder *vocoder);

typedef struct sn_vocoder_options {
	uint64_t seed;
	float sigma;                   /* WaveGlow's deviation of z; < 0: the reference's (0.6 in NVIDIA's inference) */
	float denoise;                 /* WaveGlow's denoiser strength; 0: none; < 0: the reference's */
	const float *noise;            /* tests: the standard normal draws in the order of use, else NULL */
	int64_t noise_count;
	int bare;                      /* tests: no frames are repeated at the ends where the reference's inference does so (`extra`) */
} sn_vocoder_options;

/* A stream is one utterance's state; many may be alive, each call runs one at a time. */
int sn_vocoder_stream_new(sn_vocoder_stream **out, sn_vocoder *vocoder, char *err);
void sn_vocoder_stream_free(sn_vocoder_stream **stream);
/* Begins an utterance; one that was under way is forgotten. */
int sn_vocoder_start(sn_vocoder_stream *stream, const sn_vocoder_options *options, char *err);
/* Takes the next `frames` rows [frames, mels] (copied); last: no more will come. SN_AGAIN: no room, take sound out first. */
int sn_vocoder_push(sn_vocoder_stream *stream, const float *mel, int frames, int last, char *err);
/* The next at most `most_frames` * hop samples (plus `extra` at the very end), computed from what was pushed. 0: more frames are
 * needed, or all was given out; < 0: an error code. Pieces joined are what one run over the whole gives, within 1e-5. pcm has room
 * for (most_frames * hop + extra) floats. A call computes no more than it gives out and what that depends on. */
int64_t sn_vocoder_next(sn_vocoder_stream *stream, int most_frames, float *pcm, char *err);
int sn_vocoder_ended(const sn_vocoder_stream *stream);
/* Debug plans: copies a named tensor of the last run. */
int sn_vocoder_tensor(sn_vocoder_stream *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
