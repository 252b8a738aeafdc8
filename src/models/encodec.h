/* EnCodec's decoder (Défossez et al. 2022): residual codes to sound, in chunks. Reference: transformers' EncodecModel (quantizer and
 * decoder). All its options: causal and centred convolutions, every padding, both normalisations. One engine thread drives it. */
#ifndef SN_MODELS_ENCODEC_H
#define SN_MODELS_ENCODEC_H

#include "base/json.h"
#include "models/options.h"

#define SN_ENCODEC_MAX_CHUNK 256 /* frames of one next */
#define SN_ENCODEC_MAX_FRAMES 16384

typedef struct sn_encodec sn_encodec;
typedef struct sn_encodec_stream sn_encodec_stream;

typedef struct sn_encodec_facts {
	int sample_rate, hop;       /* samples a frame */
	int quantizers, codebook;   /* code books and entries of each */
	int width;                  /* values of an entry */
} sn_encodec_facts;

typedef struct sn_encodec_source {
	const json_t *config;       /* EncodecConfig; a missing key takes the reference's default */
	const char *config_name;    /* for messages: "DIR/config.json: codec_config" */
	const sn_weights *weights;  /* stay open as long as the codec lives */
	const char *prefix;         /* of its tensors, "codec_model." */
	nn_pack *pack;
	int frames;                 /* the longest utterance, at most SN_ENCODEC_MAX_FRAMES */
} sn_encodec_source;

/* Plans are float32 or bfloat16: rounding to eight bits is heard. Errors: SN_E_MODEL, SN_E_UNSUPPORTED, SN_E_MEMORY. */
int sn_encodec_open(sn_encodec **out, const sn_encodec_source *source, const sn_load_options *load, char *err);
void sn_encodec_close(sn_encodec **codec);
const sn_encodec_facts *sn_encodec_get_facts(const sn_encodec *codec);

/* A stream is one utterance's state; many may be alive. */
int sn_encodec_stream_new(sn_encodec_stream **out, sn_encodec *codec, char *err);
void sn_encodec_stream_free(sn_encodec_stream **stream);
/* Begins an utterance of codes[books][frames] (row-major, each below `codebook`; copied as embeddings). */
int sn_encodec_start(sn_encodec_stream *stream, const int32_t *codes, int books, int frames, char *err);
/* A piece of work. Writes at most most_frames * hop samples to pcm and returns how many: 0 while the recurrent layers run, and at the end
 * (sn_encodec_ended); or an error of nn_exec_run. Pieces of any sizes joined are what decoding the whole at once gives, within 1e-5. */
int64_t sn_encodec_next(sn_encodec_stream *stream, int most_frames, float *pcm, char *err);
int sn_encodec_ended(const sn_encodec_stream *stream);
/* The sum of the codes' entries, after start: [frames, width]. */
const float *sn_encodec_embedding(const sn_encodec_stream *stream);

#endif
