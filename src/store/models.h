/* The catalogue of known models and the directories where checkpoints lie.
 *
 * The catalogue (data/catalogue.json, compiled in) knows names, aliases, licences, hashes and what passed the accuracy gate.
 * Checkpoints are found in HOME/models/DIRECTORY, in the cache of the Hugging Face hub, and at any path. HOME is
 * $SONANT_HOME, else ~/.cache/sonant. A directory that a pull made says in its MANIFEST what is in it. Looking and listing write nothing;
 * sn_store_packed_path makes its directory, and hub.c installs and removes. */
#ifndef SN_STORE_MODELS_H
#define SN_STORE_MODELS_H

#include "base/error.h"
#include "base/path.h"

#define SN_STORE_PATH SN_PATH_MAX
#define SN_STORE_NAME 256
#define SN_STORE_MAX_MODELS 4096 /* listed at once */
#define SN_STORE_MANIFEST ".sonant.json"

typedef struct sn_store sn_store;

typedef struct sn_catalogue_file {
	const char *name, *sha256; /* name inside the model's directory; lower-case hexadecimal */
	int64_t size;
} sn_catalogue_file;

typedef struct sn_catalogue_package {
	const char *name, *version; /* on PyPI */
} sn_catalogue_package;

/* Everything is borrowed from the store. */
typedef struct sn_catalogue_entry {
	const char *name, *directory;
	const char *task;         /* "transcribe", "speak", "vad", "vocode", "embed" */
	const char *architecture; /* as sn_store_architecture says it */
	const char *description, *licence, *origin;
	const char *vocoder;      /* name of the entry that belongs to a model of spectrograms, or "" */
	const char *hub, *hub_revision, *hub_folder; /* repository that holds `files`, "" when none is known */
	int alias_count, language_count, dtype_count, package_count, file_count;
	const char *const *aliases;
	const char *const *languages; /* "multilingual" where the model says which itself */
	const char *const *dtypes;    /* that passed the accuracy gate, of "f32", "bf16", "int8" */
	const sn_catalogue_package *packages;
	const sn_catalogue_file *files;
	int64_t size; /* bytes of all files */
} sn_catalogue_entry;

/* A checkpoint on this machine. */
typedef struct sn_model_place {
	char name[SN_STORE_NAME];      /* the catalogue's, else the repository's or directory's */
	char path[SN_STORE_PATH];      /* directory or file to load */
	char architecture[32];         /* "" when its files do not tell */
	const sn_catalogue_entry *entry; /* NULL when the catalogue does not know it */
	int in_hub_cache;
} sn_model_place;

/* `home` NULL: the default. A home that does not exist is no error. *out is the caller's. */
int sn_store_open(sn_store **out, const char *home, char *err);
void sn_store_close(sn_store **store);
const char *sn_store_home(const sn_store *store);
/* From here on names are looked for in the catalogue, in HOME and in the hub's cache only, never as paths. Before any other thread. */
void sn_store_refuse_paths(sn_store *store);

/* The catalogue, in its order. */
int sn_store_count(const sn_store *store);
const sn_catalogue_entry *sn_store_at(const sn_store *store, int index);
/* By name or alias, in any case of letters; NULL when there is none. */
const sn_catalogue_entry *sn_store_find(const sn_store *store, const char *name);
/* The entry of the vocoder that belongs to the model of that name or in a directory of that name, or NULL. */
const sn_catalogue_entry *sn_store_vocoder(const sn_store *store, const char *name);
/* Whether dtype ("int8", ...) passed the accuracy gate for the entry. */
int sn_catalogue_allows(const sn_catalogue_entry *entry, const char *dtype);
/* The models that "auto" tries for a task, best first: their names; NULL after the last. */
const char *sn_store_default(const sn_store *store, const char *task, int index);

/* Whether a model knows a language (a code; NULL: any), without a look at its weights. 1, 0, or -1: catalogue and small files do not say. */
int sn_store_knows(const sn_model_place *place, const char *code);
/* What "auto" tries after the defaults of "transcribe" or "speak": the other installed models that may know the language, in order of name,
 * those of which it is not certain last. free() *out. Errors: those of sn_store_list. */
int sn_store_others(const sn_store *store, const char *task, const char *code, sn_model_place **out, int *count, char *err);

/* Whether a repository of the hub holds the entry's model. */
int sn_store_on_hub(const sn_catalogue_entry *entry);
/* The directory below HOME/models for "org/name" or "org/name/folder": "org--name". 0: the name is too long. */
int sn_store_directory(const char *name, char directory[SN_STORE_NAME]);
/* What holds the Piper voice of that name ("en_US-lessac-medium"): "rhasspy/piper-voices/en/en_US/lessac/medium". 0: no such name. */
int sn_store_piper(const char *name, char repository[SN_STORE_NAME]);
/* The hub's cache, "" when there is none. */
const char *sn_store_hub_cache(const sn_store *store);

/* Where a model lies. `model` is a catalogue name or alias, the path of a directory or file, the name of a directory in
 * HOME/models, a repository ("org/name") that was pulled into HOME or lies in the hub's cache, or a Piper voice that was pulled by
 * its folder; looked for in this order.
 * SN_E_NOT_FOUND: no such model (lists near names), or known and not installed (says how to install it). */
int sn_store_resolve(const sn_store *store, const char *model, sn_model_place *out, char *err);

/* All checkpoints in HOME/models and the hub's cache, by name. free() *out; the entries are borrowed from the store. */
int sn_store_list(const sn_store *store, sn_model_place **out, int *count, char *err);

/* The architecture that the files at `path` are of, or "". */
void sn_store_architecture(const char *path, char architecture[32]);
/* Whether checkpoints whose config.json has this "model_type" can be run. */
int sn_store_reads(const char *model_type);

/* Makes a directory and those above it. 0, or -1 with errno. */
int sn_store_make_directories(const char *path);
/* Deletes a file, a link (not what it points to) or a directory with all that is in it; adds the bytes of files to *freed. SN_OK,
 * SN_E_NOT_FOUND, SN_E_IO with errno. */
int sn_store_remove_tree(const char *path, int64_t *freed);

/* Where packed weights of a checkpoint are kept: HOME/packed/NAME-KEY-VARIANT.pack, in path[SN_STORE_PATH]. Makes the
 * directory. When that fails and no such file exists, path is "" and note[SN_ERRLEN] says why: go on without it. */
void sn_store_packed_path(const sn_store *store, const char *name, uint64_t key, const char *variant, char *path, char *note);

#endif
