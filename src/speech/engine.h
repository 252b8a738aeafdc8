/* What an engine and a loaded model are made of. */
#ifndef SN_SPEECH_ENGINE_H
#define SN_SPEECH_ENGINE_H

#include "models/bert.h"
#include "models/deepfilter.h"
#include "models/dnsmos.h"
#include "models/silero.h"
#include "models/speaker_encoder.h"
#include "models/synth.h"
#include "models/vocoder.h"
#include "models/wav2vec2.h"
#include "models/whisper.h"
#include "models/xvector.h"
#include "speech/align.h"
#include "speech/lane.h"
#include "speech/scheduler.h"
#include "store/models.h"

#define SN_BACKEND_NAME 24

struct sn_engine {
	nn_pool *pool;
	sn_sched *sched;
	int references;            /* the caller's and one for each model; guarded by models_lock */
	int threads, no_cache, no_paths;
	size_t max_memory;         /* of loaded models; 0: what the machine has */
	sn_precision precision;
	char backend[SN_BACKEND_NAME];
	sn_store *store;
	const char *cpu;
	char cpu_why[320];
	pthread_mutex_t load_lock;   /* one load at a time */
	pthread_mutex_t share_lock;  /* what sessions add to a loaded model: ears, adapters of languages; for no longer than that takes */
	pthread_mutex_t models_lock; /* guards the list and all reference counts */
	sn_model *models;
	size_t moving;               /* memory of models that are being loaded or freed: they are in no list */
	sn_phonemizer *phonemizer;   /* starts its helper when it is first needed */
};

typedef enum sn_architecture {
	SN_ARCH_WHISPER, SN_ARCH_WAV2VEC2, SN_ARCH_SILERO, SN_ARCH_SYNTH, SN_ARCH_VOCODER, SN_ARCH_EMBEDDER, SN_ARCH_DEEPFILTER,
	SN_ARCH_DNSMOS, SN_ARCH_BERT
} sn_architecture;

#define SN_MEL_TEXT 256 /* bytes of a mel layout in words */

struct sn_model {
	sn_engine *engine;
	sn_model *next;
	int references;
	char name[SN_STORE_NAME], path[SN_STORE_PATH];
	sn_architecture architecture;
	const char *label;           /* its architecture's name */
	nn_dtype dtype;
	char backend_name[SN_BACKEND_NAME];
	int exact;                   /* as in its request */
	nn_backend *backend;         /* NULL: our kernels */
	nn_exports *exports;         /* while it is loaded */
	int windows_wanted, windows, rows, from_cache; /* wanted: 0 for as many as there is memory for; rows: sequences at once */
	double load_time;
	size_t memory, memory_most; /* bytes while one window is decoded greedily, and with all that it may decode at once */
	/* one of these */
	sn_whisper *whisper;
	sn_lane *lane;               /* with whisper, as are the next two */
	sn_align *align;
	sn_model *detector;          /* Silero, from the first session on that needed it; guarded by models_lock */
	sn_wav2vec2 *wav2vec2;
	sn_silero *silero;
	sn_deepfilter *deepfilter;
	sn_bert *bert;
	sn_dnsmos *dnsmos;
	const sn_job *dnsmos_owner;  /* whose window it is in the middle of; the conductor's */
	void *synth;                 /* with its class and facts */
	const sn_synth_class *class;
	const sn_synth_facts *facts;
	sn_vocoder *vocoder;
	sn_xvector *xvector;
	sn_speaker_encoder *encoder;

	const char *languages[SN_WHISPER_MAX_LANGUAGES];
	char mel[SN_MEL_TEXT];       /* layout in words */
	/* of a model that makes spectrograms: the vocoder that sessions take, or why it cannot be had */
	sn_model *own_vocoder;
	int vocoder_result;
	char vocoder_error[SN_ERRLEN];
};

void sn_model_retain(sn_model *model);
const char *sn_dtype_label(nn_dtype dtype); /* "f32", "bf16", "int8" */

/* What a load asks for, below sn_model_load; the engine's load_lock is held, but not for an export. label: the architecture's name. */
typedef struct sn_model_request {
	const char *label;
	nn_dtype dtype;
	const char *backend;         /* its name */
	int windows;                 /* 0: as many as there is memory for */
	const sn_mel_layout *mel;    /* griffin-lim: the layout that it is for */
	nn_exports *exports;         /* where its graphs are written to: it is in no list then, and cannot run */
	int exact;                   /* no float16 inside of TensorRT */
	int sequences;               /* of an export: of which a Whisper's states have room for so many */
} sn_model_request;
int sn_model_take(sn_model **out, sn_engine *engine, const sn_model_place *place, const sn_model_request *request, char *err);

/* One that is loaded already, retained; NULL: there is none. */
sn_model *sn_model_find(sn_engine *engine, const sn_model_place *place, const sn_model_request *request);

/* Silero for a session of a Whisper: the model keeps it, so that later sessions wait for no load. Errors: those of sn_model_load. */
int sn_model_detector(sn_model **out, sn_model *model, char *err);

/* Finds a model's files, and which architecture of the table they are: as sn_model_load. */
int sn_model_locate(sn_model_place *place, const char **label, const sn_engine *engine, const char *name, int task, char *err);

/* What the files of the place are: a name of the table of architectures, or NULL. */
const char *sn_model_label(const sn_model_place *place);
/* 1: there is one precision that the model at `path` computes in, *dtype; it is asked for in no other. */
int sn_model_fixed_dtype(nn_dtype *dtype, const char *label, const char *path);
int sn_model_task(const char *label); /* an sn_task; 0 for a name that is not in the table */

#endif
