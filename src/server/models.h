/* Models that are loaded, and which one a request gets. A handle keeps a model from being unloaded while it is used. */
#ifndef SN_SERVER_MODELS_H
#define SN_SERVER_MODELS_H

#include "server/server.h"

#define SV_MAX_MODELS 256 /* loaded or failed, remembered at once */

typedef struct sv_models sv_models;
typedef struct sv_model_entry sv_model_entry;

typedef struct sv_model_use {
	sn_model *model;
	sv_model_entry *entry;
} sv_model_use;

/* Whether the configuration names a model by a path: one that begins with '/', '.' or '~'. Else the engine opens none. */
int sv_models_have_paths(const struct sv_config *config);

int sv_models_open(sv_models **out, sv_server *server, char *err);
void sv_models_close(sv_models **models);

/* Begins to load what the configuration lists under preload, on threads of its own; a failure is remembered and reported, others still
 * load. */
int sv_models_preload(sv_models *models, char *err);
/* Takes over a changed configuration. */
void sv_models_reload(sv_models *models);
/* Whether all of preload is ready; why (SN_ERRLEN bytes) says what is not. Takes no time. */
int sv_models_ready(sv_models *models, char *why);

/* The model of a name, or for "auto" the first of the task's list, else of what is installed, that takes the language ("auto": any). Loads where needed, and makes
 * room in the memory budget by unloading what is unused longest. *use must be given back. Errors: those of sn_model_load; SN_E_ARGUMENT
 * for a path where the server opens none. */
int sv_models_get(sv_models *models, sv_model_use *use, const char *name, int task, const char *language, char *err);
void sv_models_give(sv_models *models, sv_model_use *use);

/* Pins: keep 0 the server's time to live, -1 for ever, else seconds. */
int sv_models_load(sv_models *models, const char *name, sn_precision precision, int64_t keep, char *err);
int sv_models_unload(sv_models *models, const char *name, char *err); /* SN_E_BUSY while it is used: unloaded after that */
int sv_models_set_default(sv_models *models, int task, const char *name, char *err);
/* Begins to install a model of the catalogue, by name or alias; *out is a Pull object of the API. SN_E_NOT_FOUND, SN_E_UNSUPPORTED (it is
 * in no package), SN_E_BUSY. */
int sv_models_pull(sv_models *models, const char *name, json_t **out, char *err);
json_t *sv_models_pulls(sv_models *models);
/* Every second, not on the io thread: unloads what has rested longer than its time to live. */
void sv_models_tick(sv_models *models);

/* What is known, installed and loaded: a list of Model objects of the API, of one task or (0) all. NULL: no memory. */
json_t *sv_models_json(sv_models *models, int task);
/* Those that are loaded, being loaded or failed, from memory: for health and metrics, on the io thread. */
json_t *sv_models_states(sv_models *models);
json_t *sv_models_one(sv_models *models, const char *name);

/* Identity of what a model computes: path, precision and the times of its files. For cache keys. */
void sv_models_version(const sv_model_use *use, uint8_t version[32]);
/* The version that sv_models_get would give a use of now, when that model is loaded: SN_OK, else SN_AGAIN. Takes no time: for the io
 * thread's look into the result cache. Counts as a use for the time to live. */
int sv_models_peek(sv_models *models, const char *name, int task, const char *language, uint8_t version[32]);

#endif
