/* Whisper (Radford et al. 2022): encoder, decoder and their ids, any size and version by its configuration.
 * Reference: openai-whisper and transformers. Not thread safe: one engine thread drives a loaded model. */
#ifndef SN_MODELS_WHISPER_H
#define SN_MODELS_WHISPER_H

#include "models/options.h"
#include "text/bpe.h"

#define SN_WHISPER_MAX_LANGUAGES 128
#define SN_WHISPER_MAX_SUPPRESS 512
#define SN_WHISPER_MAX_ALIGNMENT 64 /* published lists have 6 to 23 */
#define SN_WHISPER_WINDOW 480000  /* samples of a window at 16 kHz: 30 s */

typedef struct sn_whisper sn_whisper;

typedef struct sn_whisper_config {
	int width, encoder_layers, decoder_layers, encoder_heads, decoder_heads, encoder_ffn, decoder_ffn;
	int mels, vocab, source_positions, target_positions; /* 80 or 128; 51864..; 1500; 448 */
	int multilingual;
	int32_t eot, sot, translate, transcribe, sot_lm, sot_prev, no_speech, no_timestamps, timestamp_begin; /* -1: has none */
	int languages;
	struct { char code[8]; int32_t token; } language[SN_WHISPER_MAX_LANGUAGES];
	int suppress_count, begin_suppress_count;
	int32_t suppress[SN_WHISPER_MAX_SUPPRESS], begin_suppress[16];
	int max_initial_timestamp; /* index, 50 = 1.0 s */
	int alignment_count; /* heads of the decoder's cross attention that follow the speech, falling back to some of the upper layers */
	struct { int16_t layer, head; } alignment[SN_WHISPER_MAX_ALIGNMENT];
} sn_whisper_config;

/* Reads Hugging Face (config.json, generation_config.json, ...) and CTranslate2 directories, and what sherpa-onnx publishes: a directory
 * with NAME-encoder.onnx, NAME-decoder.onnx (or .int8.onnx) and NAME-tokens.txt, or one of these .onnx files. *out is the caller's. */
int sn_whisper_open(sn_whisper **out, const sn_load_options *load, char *err);
void sn_whisper_close(sn_whisper **whisper);
/* The path is a directory or file of the last kind, whole or not. */
int sn_whisper_is_export(const char *path);
const sn_whisper_config *sn_whisper_get_config(const sn_whisper *whisper);
sn_bpe *sn_whisper_bpe(sn_whisper *whisper);
int64_t sn_whisper_parameters(const sn_whisper *whisper);

/* Encoding: fill the log-mel input [2 * source_positions frames, mels] (frame-major), then begin and next until SN_OK (SN_AGAIN:
 * more; else an error of nn_exec_next). The keys and values of cross attention land in entry `window` (0 .. load->windows-1). */
float *sn_whisper_mel_input(sn_whisper *whisper);
void sn_whisper_encode_begin(sn_whisper *whisper, int window);
int sn_whisper_encode_next(sn_whisper *whisper, int budget, char *err);

/* Another encoder of the same weights, which may run between the pieces of others: its mel input has 2 * positions frames, and the
 * entry then holds so many keys. Fewer positions than source_positions are a context that the model was not trained on. Close it
 * before the whisper. */
typedef struct sn_whisper_encoder sn_whisper_encoder;
int sn_whisper_encoder_open(sn_whisper_encoder **out, sn_whisper *whisper, char *err);
void sn_whisper_encoder_close(sn_whisper_encoder **encoder);
float *sn_whisper_encoder_mel(sn_whisper_encoder *encoder);
void sn_whisper_encoder_begin(sn_whisper_encoder *encoder, int window, int positions);
int sn_whisper_encoder_next(sn_whisper_encoder *encoder, int budget, char *err);

/* One decoder row: `token` at `position` of a sequence whose own cache slot is `slot`; `table` [target_positions] tells the slot in
 * which each earlier position's keys lie (table[position] must be `slot`); it listens to `window`. Several rows of one sequence in
 * one call are a prompt. `logits`: where to write [vocab] floats, or NULL where they are not wanted. */
typedef struct sn_whisper_row {
	int32_t token, position, slot, window;
	const int32_t *table;
	float *logits;
} sn_whisper_row;

#define SN_WHISPER_MAX_ROWS 256 /* rows of one call */
int sn_whisper_decode(sn_whisper *whisper, const sn_whisper_row *rows, int count, char *err); /* errors: those of nn_exec_run; no row is to be used then */

/* When words are said: the attention of the alignment heads, without a second pass of the decoder. While `keep` is set, decode keeps
 * these heads' cross-attention queries of every row by (slot, position), until another row is decoded there. */
void sn_whisper_keep_queries(sn_whisper *whisper, int keep);
/* What the rows decoded at (slots[i], positions[i]) attended to in entry `window`, while it holds the same audio: softmax over the first
 * `steps` (1 .. source_positions) positions of the encoder -> probs[alignment_count][count][steps]. Errors: those of nn_exec_run. */
int sn_whisper_attend(sn_whisper *whisper, int window, const int32_t *slots, const int32_t *positions, int count, int steps, float *probs,
                      char *err);

/* Copies a named tensor, as nn_exec_tensor: any of debug plans, of others only "encoder_out" in f32. */
int sn_whisper_tensor(sn_whisper *whisper, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
