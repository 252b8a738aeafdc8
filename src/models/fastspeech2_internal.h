/* What the files of the FastSpeech 2 models share. */
#ifndef SN_MODELS_FASTSPEECH2_INTERNAL_H
#define SN_MODELS_FASTSPEECH2_INTERNAL_H

#include "models/fastspeech2.h"

#define FS2_MAX_LAYERS 64
#define FS2_MAX_WIDTH 4096
#define FS2_PATH 4096

/* One transformer or conformer: the encoder or the decoder. */
typedef struct fs2_block {
	int64_t layers, heads, hidden, kernel; /* hidden: of the feed-forward part; kernel: of the convolution module (conformer) */
	int normalize_before, concat_after;
} fs2_block;

typedef struct fs2_predictor {
	int64_t layers, channels, kernel, embed_kernel;
	int used;
} fs2_predictor;

typedef struct fs2_settings {
	int coqui;
	int64_t width, vocab, mels, reduction;
	fs2_block encoder, decoder;
	fs2_predictor duration, pitch, energy;
	int64_t ffn_kernel, postnet_layers, postnet_units, postnet_kernel; /* conformer */
	int macaron, convolution, convolution_bias;
	int positions;                       /* Coqui: the decoder adds its table of positions */
	int64_t speakers, languages, embedding; /* 0: the model has no such input */
	double length_scale;                 /* factor of durations that the checkpoint asks for */
	char config[FS2_PATH], language[16];
	sn_mel_layout mel;
} fs2_settings;

/* Reads config.json of a directory. Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL (a wrong or missing key), SN_E_UNSUPPORTED. */
int fs2_settings_read(fs2_settings *settings, const char *dir, char *err);
/* 1: Conformer, 2: Coqui, 0: another model. */
int fs2_layout(const char *dir);

typedef struct fs2_recorder {
	nn_graph *g;
	const fs2_settings *s;
	const sn_weights *w;
	const char *prefix; /* of every tensor's name */
} fs2_recorder;

/* Inputs: "ids" [tokens], "positions" [2 tokens - 1, width] (conformer), "voice" [1, width] (where the model has speakers or
 * languages, Coqui also embeddings: what is added to every row), "embedding" [1, embedding], "mix" [1, 1] and "zeros" [tokens]
 * (conformer with embeddings), "pitch_factor" and "energy_factor" [1, 1]. Outputs: "hidden" [tokens, width], "log_durations", "pitch" and "energy" [tokens, 1]. */
void fs2_record_text(fs2_recorder *r);
/* Inputs: "x" [frames, width], "positions" [2 frames - 1, width] (conformer). Output: "mel" [frames * reduction, mels]. */
void fs2_record_decoder(fs2_recorder *r);

#endif
