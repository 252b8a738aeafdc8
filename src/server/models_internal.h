/* What models.c and models_tell.c share. */
#ifndef SN_SERVER_MODELS_INTERNAL_H
#define SN_SERVER_MODELS_INTERNAL_H

#include "server/models.h"

#include "base/error.h"
#include "store/models.h"

#include <pthread.h>

#define SV_NAMES 512             /* bytes of a list of names */
#define SV_MAX_PRELOAD 16
#define SV_LOADERS 4             /* threads of preloading */
#define SV_TASKS (SN_TASK_PUNCTUATE + 1)

typedef enum sv_model_state { SV_MODEL_LOADING, SV_MODEL_READY, SV_MODEL_FAILED } sv_model_state;

struct sv_model_entry {
	char name[256];              /* of the catalogue, of a directory, or a path of the configuration */
	char aliases[256];           /* of the catalogue, separated by spaces */
	sn_precision asked;
	sv_model_state state;
	sn_model *model;             /* READY */
	int task, users, leaving;    /* leaving: released by its last user */
	double used, keep;           /* when last; seconds, 0 the configuration's, below 0 for ever */
	uint64_t memory;
	uint8_t version[32];
	double failed_at;            /* FAILED */
	int code;
	char error[SN_ERRLEN];
};

/* task 0: a model's name; done: it was ready once; error: why it could not be loaded; next: when it is tried again, `pause` after the try */
typedef struct sv_preload { char name[256], error[SN_ERRLEN]; int task, done; double next, pause; } sv_preload;

struct sv_models {
	sv_server *server;
	sn_store *store;
	pthread_mutex_t lock;
	pthread_cond_t loaded;       /* an entry has left LOADING */
	sv_model_entry *entries[SV_MAX_MODELS];
	int count;
	char defaults[SV_TASKS][SV_NAMES]; /* by task, from the settings or the configuration */
	int is_set[SV_TASKS];        /* by /audio/models/default */
	sv_preload preload[SV_MAX_PRELOAD];
	int preload_count;
	atomic_int next_preload;
	pthread_t loaders[SV_LOADERS];
	int loader_count;
	int closing;                 /* no preload is tried again */
	struct sv_pulls *pulls;
};

typedef struct sv_pulls sv_pulls;
int sv_pulls_open(sv_pulls **out, sv_models *models, char *err);
void sv_pulls_close(sv_pulls **pulls);

extern const char *const sv_task_names[SV_TASKS];

/* Lock held. The entry of a name or alias that is not leaving, or NULL. */
sv_model_entry *sv_models_find(const sv_models *models, const char *name);
/* Lock held: the name that "auto" tries as number `at` for a task, in out; 0: there are no more. */
int sv_models_candidate(const sv_models *models, int task, int at, char out[256]);
/* Lock held: whether "auto" goes on with whatever else is installed (sn_store_others): the task's list says "auto". */
int sv_models_are_open(const sv_models *models, int task);

#endif
