/* Shared by the files of Coqui's VITS as sessions see it: the names of its voices and languages. */
#ifndef SN_MODELS_YOURTTS_INTERNAL_H
#define SN_MODELS_YOURTTS_INTERNAL_H

#include "base/json.h"
#include "models/vits.h"

#define YOURTTS_MAX_LANGUAGES 256
#define YOURTTS_MAX_NAME 64 /* bytes of a speaker's or language's name, its end included */

/* Speakers: by number for models with an embedding table, else each with the mean of its clips' embeddings. */
typedef struct yourtts_names {
	int speaker_count, language_count;
	const char **speakers;  /* [speaker_count], each ""-terminated, or NULL: they have numbers only */
	float *embeddings;      /* [speaker_count, size] or NULL */
	int size;
	const char *languages[YOURTTS_MAX_LANGUAGES];
} yourtts_names;

/* Reads language_ids.json, speaker_ids.json, speakers.pth or .json as the configuration at `json` in `dir` names them. *n is zeroed
 * first and cleared by the caller. Errors: SN_E_MODEL (an entry that does not fit the model), SN_E_LIMIT, those of reading. */
int yourtts_names_read(yourtts_names *n, const sn_vits_config *config, const char *dir, const char *json, char *err);
void yourtts_names_clear(yourtts_names *n);

/* The names of n->speaker_count numbered speakers: "speakers" of the configuration (a list, or names with numbers), or a file beside it.
 * n->speakers stays NULL where not each has one. */
int yourtts_speakers_read(yourtts_names *n, const json_t *root, const char *dir, const char *json, char *err);

/* -1: none. Languages also by what stands before the region ("fr" for "fr-fr"). */
int yourtts_find_language(const yourtts_names *n, const char *language);

/* The file that a configuration's path stands for: a file of that name in `dir`, which must be there. 1: written. */
int yourtts_file(char out[4096], const char *dir, const char *path);

#endif
