/* Shared by the files of SpeechT5: the configuration and the recorded graphs. */
#ifndef SN_MODELS_SPEECHT5_INTERNAL_H
#define SN_MODELS_SPEECHT5_INTERNAL_H

#include "models/speecht5.h"

#define SPEECHT5_MAX_LAYERS 48
#define SPEECHT5_MAX_WIDTH 8192
#define SPEECHT5_POSTNET_ROWS 64   /* finished frames of one run of the postnet */

typedef struct speecht5_settings {
	sn_speecht5_config public;
	int width, encoder_layers, encoder_heads, encoder_ffn, decoder_ffn;
	int window;                      /* relative positions of the encoder: -window .. window - 1 */
	int postnet_layers, postnet_units, postnet_kernel;
	int32_t pad;
	double dropout;                  /* of the prenet */
	float norm_eps;
	nn_act act;                      /* of the feed-forward layers */
	float act_param;
	int quick_gelu;                  /* x * sigmoid(1.702 x), which is no nn_act */
	float encoder_alpha, decoder_alpha; /* factors of the positions, read from the weights */
} speecht5_settings;

/* speecht5_config.c: config.json and, where there is one, preprocessor_config.json; then what only the weights tell. */
int speecht5_settings_read(speecht5_settings *s, const char *dir, char *err);
int speecht5_settings_bind(speecht5_settings *s, const sn_weights *weights, char *err);

/* Rows before and behind that a finished frame depends on. */
static inline int speecht5_reach(const speecht5_settings *s) { return s->postnet_layers * ((s->postnet_kernel - 1) / 2); }

/* alpha * sinusoid of a position (Li et al. 2019, section 3.2), in single precision as the reference's table: out[width] */
void speecht5_position(int position, float alpha, int width, float *out);

/* ---- graphs (speecht5_graph.c) ---- */

typedef struct speecht5_recorder {
	nn_graph *g;
	const speecht5_settings *s;
	const sn_weights *w;
	int debug;
} speecht5_recorder;

/* ids [tokens], positions [tokens, width], slot, place [tokens] -> encoder_out [tokens, width]; keys and values of each decoder layer's
 * cross attention go to rows `place` of entry `slot` of the states cross_cache0, cross_cache1, ... */
void speecht5_record_text(speecht5_recorder *r);
/* One step: frame [1, mels], keep0, keep1, ... [1, units], position_row [1, width], speaker [1, speaker width], and for the caches self
 * and cross: slot [1], place [1], table [1, length], cross_place [1], cross_table [1, max_text] -> mel [1, reduction * mels],
 * stop [1, reduction] probabilities, cross0, ... [heads, 1, max_text] attention. */
void speecht5_record_step(speecht5_recorder *r);
/* x [rows, mels] -> y: right where all rows of its reach are at hand, or the utterance begins or ends */
void speecht5_record_postnet(speecht5_recorder *r);

#endif
