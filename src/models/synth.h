/* What every model that speaks offers to the sessions above it: VITS, YourTTS, Bark and Kokoro make sound; SpeechT5, Tacotron2 and
 * FastSpeech2 make mel spectrograms for a vocoder. A model is a void pointer that only its own class understands; one engine thread
 * drives it. `encode`, `voice` and `embed` may be called from other threads while a stream runs, also from several at once. */
#ifndef SN_MODELS_SYNTH_H
#define SN_MODELS_SYNTH_H

#include "models/mel_layout.h"
#include "models/options.h"
#include "text/phonemize.h"

typedef enum sn_synth_kind { SN_SYNTH_SOUND, SN_SYNTH_MEL } sn_synth_kind;

/* How given phonemes are written: as text/inline.h says; as "{HH AH0 L OW1}". */
typedef enum sn_synth_phonemes { SN_PHONEMES_NONE, SN_PHONEMES_IPA, SN_PHONEMES_ARPABET } sn_synth_phonemes;

/* Every pointer is borrowed from the model. */
typedef struct sn_synth_facts {
	sn_synth_kind kind;
	int sample_rate, hop;        /* samples a frame */
	int width;                   /* values a frame: hop for sound, mels for a spectrogram */
	sn_mel_layout mel;           /* of a spectrogram */
	int64_t parameters;
	int speakers;                /* voices in the model, by number; 1: a single one; 0: none of its own (an embedding is needed) */
	const char *const *speaker_names; /* [speakers] or NULL */
	int language_count;
	const char *const *languages; /* "en", "de", ... */
	int emotion_count;
	const char *const *emotions;
	int embedding;               /* values of a voice's embedding that it takes; 0: takes none */
	int embeds;                  /* 1: `embed` works */
	int presets;                 /* 1: takes token presets as voices (Bark) */
	int has_speed, has_pitch, has_energy, has_temperature, has_dropout, has_noise;
	int max_ids;                 /* of one start */
	int max_bytes;               /* of text that is right for one start (a sentence); 0: no advice */
	char language[16];           /* of the text front end where there is one language; "" else */
	sn_synth_phonemes phonemes;  /* that may stand in the text */
	int foreign;                 /* 1: sn_synth_options.espeak works */
	int emphasis;                /* 1: words in capitals and ♪ around a song mean something to it */
	int romanises;               /* 1: other letters than Latin ones are written in those, by own rules */
	const char *letters;         /* that the voice knows, for messages; NULL: it speaks sounds, not letters */
} sn_synth_facts;

/* A voice, resolved for one model. sn_voice_clear frees its parts. */
typedef struct sn_voice {
	char name[64];
	int speaker;                 /* number in the model, -1: none */
	float *embedding;            /* [embedding_count], or NULL */
	int embedding_count;
	int32_t *prompt[3];          /* Bark: semantic [n], coarse [2, n], fine [8, n]; row-major, or NULL */
	int prompt_rows[3], prompt_count[3]; /* prompt_count: columns n */
} sn_voice;
void sn_voice_clear(sn_voice *voice);
/* A speaker by name, as it is written or in other capitals, or by number; -1: none. */
int sn_voice_speaker(const sn_synth_facts *facts, const char *name);
/* SN_E_NOT_FOUND, with the speakers that there are. */
int sn_voice_unknown(const sn_synth_facts *facts, const char *name, char *err);
/* Reads an embedding of `size` finite values from a file (.npy, or any weights file with one such tensor) into voice->embedding. Errors:
 * SN_E_NOT_FOUND, SN_E_ARGUMENT (another size: says both; not a number: says where), those of sn_weights_open. */
int sn_voice_read(sn_voice *voice, const char *path, int size, char *err);

typedef struct sn_synth_options {
	const sn_voice *voice;       /* NULL: the model's default */
	const char *language;        /* code that the model has; NULL: its default */
	const char *emotion;         /* one that the model has; NULL: none */
	const char *espeak;          /* espeak's voice for text in another language than the model's; NULL: the model's */
	float speed;                 /* 1: as the model speaks; 2: twice as fast */
	float pitch, energy;         /* factors of what the model predicts; 1: as predicted; 0 reads as 1 */
	float noise_scale, noise_duration; /* VITS; < 0: the checkpoint's */
	float temperature;           /* Bark; < 0: the checkpoint's; 0: greedy */
	int dropout;                 /* prenet dropout: -1 as the reference does, 0 off, 1 on */
	uint64_t seed;
	int force_frames;            /* measuring: exactly so many frames whatever the stop condition says; 0: as it says */
} sn_synth_options;

typedef int (*sn_synth_emit)(void *payload, const int32_t *ids, int count, size_t bytes, char *err);

typedef struct sn_synth_class {
	const char *architecture;    /* "vits", "yourtts", "speecht5", "tacotron2", "fastspeech2", "bark", "kokoro" */
	int by_ort;                  /* 1: its graph comes as ONNX, so it runs by ONNX Runtime ("ort:cpu") where our kernels are asked for */
	int (*accepts)(const char *path);
	nn_dtype (*dtype)(const char *path); /* by_ort: what its file holds and is computed in; float32 where that cannot be read */
	int (*open)(void **model, const sn_load_options *load, char *err);
	void (*close)(void **model); /* sets NULL; NULL is a no-op */
	const sn_synth_facts *(*facts)(const void *model);

	/* Text (one sentence, valid UTF-8) to ids: `emit` is called once or several times, in order, each for one start. Characters and
	 * sounds that the model does not know are left out and counted in *missing. */
	int (*encode)(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
	              sn_synth_emit emit, void *payload, int *missing, char *err);
	/* A voice by what the checkpoint calls it (a number, a name), or from a file (a path: .npy embedding, .npz preset). *voice is
	 * the caller's. SN_E_NOT_FOUND lists what there is (the first few); SN_E_ARGUMENT: the file's voice does not fit, with both sizes. */
	int (*voice)(const void *model, const char *name, sn_voice *voice, char *err);
	/* An embedding of a clip (mono, -1..1, at least 1 s): [facts->embedding] values. NULL: the model cannot. */
	int (*embed)(const void *model, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err);

	/* A stream is one utterance's state between calls; many may be alive. */
	int (*stream_new)(void **stream, void *model, char *err);
	void (*stream_free)(void **stream);
	int (*start)(void *stream, const int32_t *ids, int count, const sn_synth_options *options, char *err);
	/* Some milliseconds of work. Writes *frames <= most rows of `width` values to out, in order. SN_OK: more to come (*frames may be
	 * 0: call again); SN_END: these were the last. For sound *frames counts whole frames, and *extra (0 else) the samples of a last,
	 * shorter one. Errors end the utterance: SN_E_MODEL for attention that ran away, repeated or skipped after all retries. */
	int (*next)(void *stream, int most, float *out, int *frames, int *extra, char *err);
	/* What the listener should know of this utterance ("cut at the most steps", "spoken again with another seed"), or NULL. */
	const char *(*remark)(const void *stream);
	/* Frames that come before the ids from `share` (0..1) of all on, of the utterance that was started. NULL: the model has no plan. */
	int64_t (*place)(const void *stream, double share);
} sn_synth_class;

extern const sn_synth_class sn_synth_vits, sn_synth_yourtts, sn_synth_speecht5, sn_synth_tacotron2, sn_synth_fastspeech2, sn_synth_bark, sn_synth_kokoro;

#define SN_SYNTH_MAX_NEXT 256 /* frames of one next */

#endif
