/* VITS (Kim et al. 2021): Piper voices (.onnx + .onnx.json), the layouts of Hugging Face, of Coqui (YourTTS, Casanova et al. 2022, among
 * them) and of the authors, which MMS was published in too; one or many speakers and languages, deterministic and stochastic duration
 * predictor. References: transformers' VitsModel, piper, coqui-tts' Vits, jaywalnut310/vits. One engine thread drives a loaded model. */
#ifndef SN_MODELS_VITS_H
#define SN_MODELS_VITS_H

#include "models/options.h"

#define SN_VITS_MAX_TOKENS 1536   /* ids of one call, blanks counted */
#define SN_VITS_MAX_FRAMES 6144   /* spectrogram frames of one call */
#define SN_VITS_MAX_SPEAKERS 4096

typedef struct sn_vits sn_vits;
typedef struct sn_vits_stream sn_vits_stream;

typedef struct sn_vits_config {
	int sample_rate, hop;     /* samples a frame */
	int vocab, speakers;      /* speakers 1: single */
	float noise_scale, noise_duration, length_scale; /* defaults of the checkpoint */
	int piper;                /* ids come from phonemes by phoneme_id_map, else from the character tokenizer */
	int coqui;                /* Coqui's layout: ids come from the character set of its config.json */
	int authors;              /* the authors' layout: ids come from the cleaners of its configuration, or from vocab.txt */
	int embedding;            /* values of a speaker embedding that each start needs; 0: speakers are numbers */
	int languages;            /* rows of the language embedding; 0: there is none */
	char espeak_voice[32], language[16];
} sn_vits_config;

typedef struct sn_vits_files {
	int piper, coqui, authors;
	char json[4096], weights[4096]; /* the configuration; a file or a directory of weights */
} sn_vits_files;

/* Which files `path` (a directory, a voice's .onnx or a checkpoint's .pth) stands for. In a directory a config.json counts first, then the
 * first voice by name that has its JSON beside it. Errors: SN_E_NOT_FOUND, SN_E_ARGUMENT (too long). */
int sn_vits_locate(sn_vits_files *files, const char *path, char *err);

int sn_vits_open(sn_vits **out, const sn_load_options *load, char *err);
void sn_vits_close(sn_vits **vits);
const sn_vits_config *sn_vits_get_config(const sn_vits *vits);
int64_t sn_vits_parameters(const sn_vits *vits);

typedef struct sn_vits_options {
	int speaker, language;
	const float *embedding;   /* [config.embedding] where that is not 0; normalised here */
	int force_frames;         /* measuring: so many frames, spread evenly, whatever the durations; 0: as predicted */
	float noise_scale, noise_duration, length_scale; /* < 0: the checkpoint's default; length_scale 1/speed */
	uint64_t seed;
	const float *duration_noise, *prior_noise; /* tests: standard normal draws [2, tokens] and [channels, frames], else NULL */
	int64_t duration_noise_count, prior_noise_count; /* of their values; a start refuses other lengths than its own */
} sn_vits_options;

/* A stream is one utterance's state between calls; many may be alive, each call runs one at a time. */
int sn_vits_stream_new(sn_vits_stream **out, sn_vits *vits, char *err);
void sn_vits_stream_free(sn_vits_stream **stream);
/* Text encoder, durations, prior and flow. Errors: SN_E_ARGUMENT (an id outside the vocabulary, speaker or language out of range, no
 * embedding where one is needed), SN_E_LIMIT (too many ids or frames: says how many and the maximum). *frames: frames to come. */
int sn_vits_start(sn_vits_stream *stream, const int32_t *ids, int count, const sn_vits_options *options, int *frames, char *err);
/* Decodes the next `chunk_frames` frames (1 to 256 are right; fewer at the end) to pcm, which has room for chunk_frames * hop floats.
 * Returns the samples written, 0 at the end, or an error of nn_exec_run. Chunks of any sizes joined are what decoding the whole at once gives,
 * within 1e-5. */
int64_t sn_vits_next(sn_vits_stream *stream, int chunk_frames, float *pcm, char *err);
/* Frames per input id, after start. */
const int32_t *sn_vits_durations(const sn_vits_stream *stream, int *count);
/* Debug plans: copies a named tensor (or one of the last start: "durations", "z_prior", ...). */
int sn_vits_tensor(sn_vits_stream *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
