/* What an engine and a loaded model are made of. */
#ifndef SN_SPEECH_ENGINE_H
#define SN_SPEECH_ENGINE_H

#include "models/silero.h"
#include "models/vits.h"
#include "models/whisper.h"
#include "speech/lane.h"
#include "speech/scheduler.h"
#include "store/models.h"
#include "text/chars.h"
#include "text/piper.h"

struct sn_engine {
	nn_pool *pool;
	sn_sched *sched;
	int references;            /* the caller's and one for each model; guarded by models_lock */
	int threads, no_cache;
	sn_precision precision;
	sn_store *store;
	const char *cpu;
	pthread_mutex_t load_lock;   /* one load at a time */
	pthread_mutex_t models_lock; /* guards the list and all reference counts */
	sn_model *models;
	sn_phonemizer *phonemizer;   /* starts its helper when it is first needed */
};

typedef enum sn_architecture { SN_ARCH_WHISPER, SN_ARCH_VITS, SN_ARCH_SILERO } sn_architecture;

struct sn_model {
	sn_engine *engine;
	sn_model *next;
	int references;
	char name[SN_STORE_NAME], path[SN_STORE_PATH];
	sn_architecture architecture;
	nn_dtype dtype;
	int windows, from_cache;
	double load_time;
	/* one of these */
	sn_whisper *whisper;
	sn_lane *lane;             /* with whisper */
	sn_vits *vits;
	sn_piper *piper;           /* with vits: one of these two makes its ids */
	sn_chars *chars;
	sn_silero *silero;
	const char *languages[SN_WHISPER_MAX_LANGUAGES];
	char language[16];         /* vits */
};

void sn_model_retain(sn_model *model);
const char *sn_dtype_label(nn_dtype dtype); /* "f32", "bf16", "int8" */

#endif
